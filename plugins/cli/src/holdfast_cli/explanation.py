"""Explanations for people: what the explain commands answer, told as a story."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from holdfast_cli.client import Answer

_FLIPS = ("PerformActivityCheck", "TooFewActivityCheckSamples")


def host_story(told: Answer) -> str:
    """The answer of explainHostHA."""
    lines = [
        f"Host {told.get('hostname', told.get('hostid', '?'))}: HA state {told.get('hastate', 'Disabled')}"
        f" (agent {told.get('state', '?')}, {told.get('resourcestate', '?')}),"
        f" provider {told.get('haprovider', 'none')}"
    ]
    if told.get("reason"):
        lines.append(f"  why        {told['reason']}")
    if told.get("switchedoff"):
        lines.append(f"  off above  {told['switchedoff']}")
    live = told.get("live") or {}
    waiting = live.get("waitingfor") or told.get("waitingfor") or []
    lines += [f"  waits for  {sentence}" for sentence in waiting]
    lines += list(_circumstances(told, live))
    lines += [f"  warning    {text}" for text in told.get("hawarnings", [])]
    if live.get("evidence"):
        lines.append("  evidence now")
        lines += [f"    {_piece(piece)}{_age(piece)}" for piece in live["evidence"]]
    if told.get("story"):
        lines.append("  timeline")
        lines += list(_timeline(told["story"]))
    return _text(lines)


def _circumstances(told: Answer, live: Mapping[str, Any]) -> Iterator[str]:
    if live.get("owner"):
        lease = f", its lease has {live['leaseleft']:g} s left" if "leaseleft" in live else ""
        beat = f"; last beat {live['lastbeat']:g} s ago" if "lastbeat" in live else ""
        yield f"  owner      {live['owner']}{lease}{beat}"
    power = told.get("outofbandmanagement") or {}
    if power.get("driver"):
        switch = "enabled" if power.get("enabled") else "disabled"
        yield f"  power      {power.get('powerstate')} ({power['driver']} at {power.get('address')}, {switch})"
    yield from _fence_paths(told, live)
    pools = [f"{pool['storagename']} ({pool['heartbeat']})" for pool in told.get("heartbeats", [])]
    yield f"  heartbeats {', '.join(pools) or 'no storage pool takes part'}"
    vms = [f"{vm['name']} ({vm['state']})" for vm in told.get("virtualmachines", [])]
    yield f"  VMs        {', '.join(vms) or 'none'}"


def _fence_paths(told: Answer, live: Mapping[str, Any]) -> Iterator[str]:
    """Whether the host could be fenced now: one line if that is plain, else one for each path that is not well."""
    if not told.get("fencereadiness"):
        return
    ages = [path["age"] for path in live.get("fencepaths", []) if "age" in path]
    looked = f", looked at {max(ages):.0f} s ago" if ages else ""
    yield f"  fence path {told['fencereadiness']}{looked}"
    devices = told.get("fencedevices") or [told.get("outofbandmanagement") or {}]
    for device in devices:
        if device.get("readinessdetail"):
            place = f"level {device['level']}: " if len(devices) > 1 else ""
            yield f"  {'':10} {place}{device['readiness']}: {device['readinessdetail']}"


def _timeline(story: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    before: float | None = None
    for move, times in _collapsed(story):
        at = move.get("at")
        passed = "" if before is None or at is None else f"+{max(0.0, at - before):.1f} s"
        before = at if at is not None else before
        again = f", {times} times" if times > 1 else ""
        yield (f"    {_clock(move):<12} {passed:>9}  {_path(move, times)}  {move['event']}{again}{_because(move)}")
        pieces = [_piece(piece) for piece in move.get("evidence", [])]
        for piece in dict.fromkeys(pieces):
            count = pieces.count(piece)
            yield f"    {'':22}    - {piece}{f' ({count} readings)' if count > 1 else ''}"


def _path(move: Mapping[str, Any], times: int) -> str:
    if move["event"] in _FLIPS and (times > 1 or move["event"] == _FLIPS[1]):
        return "Suspect ⇄ Checking"
    return f"{move.get('prevhastate') or 'new'} → {move['hastate']}"


def _collapsed(story: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Looks at the storage come in pairs, again and again: the last of a run of them stands for all."""
    run: list[Mapping[str, Any]] = []
    for move in [*story, None]:
        if move is not None and move["event"] in _FLIPS:
            run.append(move)
            continue
        if run:
            last = run[-1]
            looks = sum(one["event"] == _FLIPS[0] for one in run)
            yield last, max(looks, 1)
            run = []
        if move is not None:
            yield move, 1


def vm_story(told: Answer) -> str:
    """The answer of explainVirtualMachineHA."""
    where = f" on {told['hostname']}" if told.get("hostname") else ""
    lines = [
        f"VM {told['name']}: {told['state']}{where}, run {told.get('runepoch', 0)},"
        f" HA {'on' if told.get('haenable') else 'off'}"
    ]
    if told.get("reason"):
        lines.append(f"  why        {told['reason']}")
    if told.get("haverdict"):
        lines.append(f"  HA         {told['haverdict']}")
    lines += [f"  warning    {text}" for text in told.get("hawarnings", [])]
    live = told.get("live") or {}
    lines += [f"  waits for  {sentence}" for sentence in live.get("waitingfor", [])]
    if live.get("restart"):
        lines.append(f"  restart    {_standing(live['restart'])}")
    for permit in told.get("permits", []):
        lines += list(_run(permit))
    for work in told.get("work", []):
        lines += list(_restart(work))
    return _text(lines)


def _standing(restart: Mapping[str, Any]) -> str:
    place = f"place {restart['place']} of {restart['of']} in the order of restarts; " if "place" in restart else ""
    tried = f"failed starts {restart.get('failedstarts', 0)} of {restart.get('mostfailedstarts', '?')}"
    planner = f"; planned by server {restart['planner']}" if restart.get("planner") else ""
    starter = f"; started by server {restart['starter']}" if restart.get("starter") else ""
    return f"{place}{tried}, waits for a host {restart.get('waits', 0)}{planner}{starter}"


def _run(permit: Mapping[str, Any]) -> Iterator[str]:
    number, host = permit["runepoch"], permit.get("hostname", "a host that is gone")
    proof = _proof(permit["proofkind"], permit.get("proof"))
    yield f"  run {number:<6} on {host}, permitted at {_clock(permit)}: {proof}"
    if permit.get("endedby"):
        ended = permit["endedby"]
        yield f"  {'':10} ended at {_clock(permit, 'endedat', 'ended')}: {_proof(ended.get('kind', ''), ended)}"
    else:
        yield f"  {'':10} {permit['state']}"


def _proof(kind: str, proof: Mapping[str, Any] | None) -> str:
    if kind == "never-ran":
        return "it had never run"
    evidence = (proof or {}).get("evidence", [])
    if isinstance(evidence, str):
        return f"{kind}: {evidence}"
    pieces = [_piece(piece) for piece in evidence]
    said = (f"{piece} ({pieces.count(piece)} readings)" for piece in dict.fromkeys(pieces))
    return f"{kind}: {'; '.join(said)}" if pieces else kind


def _restart(work: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"  restart    {work['step']}, because of {work['reason']}; ordered at {_clock(work)},"
        f" failed starts {work.get('tried', 0)}, waits {work.get('investigations', 0)}"
    )
    chosen = work.get("explanation") or {}
    place = chosen.get("chosen") or {}
    if place:
        scores = ", ".join(f"{name} {value:g}" for name, value in (chosen.get("score") or {}).items())
        yield f"  {'':10} chose {place.get('name', place.get('host'))}{f' (scores: {scores})' if scores else ''}"
    for area in chosen.get("looked_at", []):
        for reason, hosts in (area.get("refused") or {}).items():
            yield f"  {'':10} refused: {_short(hosts)} {reason}"
    for candidate in chosen.get("candidates", []):
        if candidate.get("refusal"):
            yield f"  {'':10} refused: {candidate.get('name', candidate.get('host'))}: {candidate['refusal']}"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _piece(piece: Mapping[str, Any]) -> str:
    pool = f" on {piece['pool']}" if piece.get("pool") else ""
    detail = f": {piece['detail']}" if piece.get("detail") else ""
    return f"{piece.get('opinion', '?')} by {piece.get('kind', '?')}{pool}{detail} [{piece.get('source', '?')}]"


def _age(piece: Mapping[str, Any]) -> str:
    return f", {piece['age']:g} s ago" if "age" in piece else ""


def _because(move: Mapping[str, Any]) -> str:
    return f": {move['reason']}" if move.get("reason") else ""


def _clock(item: Mapping[str, Any], at: str = "at", date: str = "created") -> str:
    """The time of day in UTC, to the millisecond where it is known."""
    moment = item.get(at)
    if moment is None:
        return str(item.get(date, "?"))
    return f"{time.strftime('%H:%M:%S', time.gmtime(moment))}.{int(moment * 1000) % 1000:03d}"


def _text(lines: Iterable[str]) -> str:
    # Names and texts come from elsewhere: they must not steer the terminal.
    clean = ("".join(c if c.isprintable() else " " for c in line).rstrip() for line in lines)
    return "\n".join(clean) + "\n"

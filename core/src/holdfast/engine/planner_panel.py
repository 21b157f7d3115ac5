"""The panel: the placement plugins in their order, each asked alone, so that one that fails harms no other.

A filter that fails on a host has not said that the host is fit, so the host is refused in its name. A scorer that fails
gives 0. Either way the failure is listed in `problems`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from holdfast.hooks.placement import HostRoom, Request


class Plugin(Protocol):
    """What is asked of a placement plugin: `holdfast.hooks.placement.Placement`, subclassed or not."""

    def refuse(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, str]:
        """Host uuid → why not."""

    def score(self, request: Request, hosts: Sequence[HostRoom]) -> Mapping[str, float]:
        """Host uuid → 0 to 1."""


class Refusal(NamedTuple):
    """One host's refusal: which plugin, and why."""

    by: str
    reason: str


Scores = tuple[float, ...]
"""One number for each plugin of the panel, in its order, negated: the smaller tuple is the better host."""

PERSONAL = frozenset({"affinity_group"})
"""Fields that may differ between almost any two requests.

A filter that reads one is asked late, host by host, about the host that is about to be chosen. A ranking of all hosts
for each affinity group would cost the number of groups times the number of hosts.
"""


class Panel:
    """The plugins, in order. Its memory is `problems` (plugin and failure, each once) and shared texts."""

    def __init__(self, plugins: Sequence[tuple[str, Plugin]]) -> None:
        self.names = tuple(name for name, _ in plugins)
        self.problems: dict[str, str] = {}
        self._early = [(name, plugin) for name, plugin in plugins if not _is_late(plugin)]
        self._late = [(name, plugin) for name, plugin in plugins if _is_late(plugin)]
        self.has_late = bool(self._late)
        self._scorers = [plugin if _scores(plugin) else None for _, plugin in plugins]
        self._refusals: dict[Refusal, Refusal] = {}
        known = [_reads(plugin) for _, plugin in self._early]
        self.reads: frozenset[str] | None = None if None in known else frozenset().union(*filter(None, known))
        """Fields that the early plugins depend on; None: any of them."""

    def judge(self, request: Request, hosts: Sequence[HostRoom]) -> list[tuple[str, Refusal | Scores]]:
        """What the early plugins say of each host: the first refusal, or the scores if nobody refuses."""
        verdicts: list[tuple[str, Refusal | Scores]] = []
        for name, plugin in self._early:
            refused = self._refused(name, plugin, request, hosts)
            if refused:
                verdicts += [(host.uuid, refused[host.uuid]) for host in hosts if host.uuid in refused]
                hosts = [host for host in hosts if host.uuid not in refused]
        if hosts:
            columns = [
                self._scored(name, plugin, request, hosts) if plugin else [0.0] * len(hosts)
                for name, plugin in zip(self.names, self._scorers, strict=True)
            ]
            keys = list(zip(*columns, strict=True)) or [()] * len(hosts)
            verdicts += zip([host.uuid for host in hosts], keys, strict=True)
        return verdicts

    def late_refusal(self, request: Request, host: HostRoom) -> Refusal | None:
        """The first refusal of the late filters, about the host that is about to be chosen."""
        for name, plugin in self._late:
            refused = self._refused(name, plugin, request, (host,))
            if refused:
                return refused[host.uuid]
        return None

    def _refused(
        self, name: str, plugin: Plugin, request: Request, hosts: Sequence[HostRoom]
    ) -> dict[str, Refusal] | None:
        try:
            answer = plugin.refuse(request, hosts)
            if not answer:
                return None
            asked = {host.uuid for host in hosts}
            return {uuid: self._shared(name, reason) for uuid, reason in answer.items() if uuid in asked}
        except Exception as error:
            self._note(name, "refuse", error)
            if len(hosts) > 1:
                return self._refused_one_by_one(name, plugin, request, hosts)
            return {hosts[0].uuid: self._shared(name, f"filter {name} failed on it ({type(error).__name__})")}

    def _refused_one_by_one(
        self, name: str, plugin: Plugin, request: Request, hosts: Sequence[HostRoom]
    ) -> dict[str, Refusal]:
        found: dict[str, Refusal] = {}
        for host in hosts:
            found.update(self._refused(name, plugin, request, (host,)) or {})
        return found

    def _scored(self, name: str, plugin: Plugin, request: Request, hosts: Sequence[HostRoom]) -> list[float]:
        try:
            answer = plugin.score(request, hosts)
            if not answer:
                return [0.0] * len(hosts)
            scores = [-answer.get(host.uuid, 0.0) for host in hosts]
            # The sum is not a number if one of them is not; min and max alone would let that through.
            if not (min(scores) >= -1.0 and max(scores) <= 0.0 and sum(scores) <= 0.0):
                raise ValueError("a score is not between 0 and 1")
            return scores
        except Exception as error:
            self._note(name, "score", error)
            if len(hosts) > 1:
                return [self._scored(name, plugin, request, (host,))[0] for host in hosts]
            return [0.0]

    def _shared(self, name: str, reason: object) -> Refusal:
        # Thousands of hosts are refused for the same reason: one object serves them all.
        refusal = Refusal(name, str(reason or "").strip() or f"filter {name} gave no reason")
        return self._refusals.setdefault(refusal, refusal)

    def _note(self, name: str, method: str, error: Exception) -> None:
        self.problems.setdefault(name, f"placement plugin {name}: {method} failed: {type(error).__name__}: {error}")


def _reads(plugin: Plugin) -> frozenset[str] | None:
    return getattr(plugin, "reads", None)


def _scores(plugin: Plugin) -> bool:
    return bool(getattr(plugin, "scores", True))


def _is_late(plugin: Plugin) -> bool:
    return not _scores(plugin) and bool(PERSONAL & (_reads(plugin) or frozenset()))

"""Jobs as commands order them."""

from typing import Any

from holdfast.model import Event, Host, Vm

from holdfast_api.call import Call, JobRequest


def ordered(call: Call, about: tuple[str, str], event: Event, host_id: int | None = None, **info: Any) -> JobRequest:
    """A job whose parameters are exactly `info`: nothing else that was sent is stored with it."""
    dropped: dict[str, Any] = dict.fromkeys(call.parameters, None)
    return JobRequest(instance=about, host_id=host_id, info=dropped | info, event=event)


def host_job(call: Call, type_: str, what: str, host: Host, **info: Any) -> JobRequest:
    """A job about a host, routed to the server that owns it. `what` says what was ordered: "fence host h1"."""
    about = ("Host", host.uuid)
    return ordered(call, about, _scheduled(call, type_, what, about), host.id, **info)


def vm_job(call: Call, type_: str, what: str, vm: Vm | str, host_id: int | None = None, **info: Any) -> JobRequest:
    """A job about a VM, or about the one that will have this uuid."""
    about = ("VirtualMachine", vm if isinstance(vm, str) else vm.uuid)
    return ordered(call, about, _scheduled(call, type_, what, about), host_id, **info)


def place_job(call: Call, type_: str, what: str, about: tuple[str, str], **info: Any) -> JobRequest:
    """A job about a zone or cluster."""
    return ordered(call, about, _scheduled(call, type_, what, about), **info)


def _scheduled(call: Call, type_: str, what: str, about: tuple[str, str]) -> Event:
    return call.event(type_, f"ordered to {what}", resource=about, state="Scheduled")

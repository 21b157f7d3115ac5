"""From a request to an answer: who calls, what, checked; the handler; the envelope. Blocking; runs in a thread."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.hooks.service import ServiceContext

from holdfast_api import envelope, jobs
from holdfast_api.authentication import ApiRequest, Authenticator
from holdfast_api.call import Call, Caller, Cookies, JobRequest, Listing, Page, Success
from holdfast_api.faults import UNAUTHORIZED, UNSUPPORTED, ApiFault, fault_of
from holdfast_api.paging import page_of
from holdfast_api.parameters import ParameterCheck
from holdfast_api.registry import Command, Registry
from holdfast_api.sessions import Sessions
from holdfast_api.stored_settings import StoredSettings

logger = logging.getLogger(__name__)

ERROR_KEY = "errorresponse"


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What goes back. `cookies` are set on the client, None deletes; `error` is the text for X-Description."""

    status: int
    body: bytes
    content_type: str
    error: str = ""
    cookies: Mapping[str, str | None] = field(default_factory=dict, repr=False)


class Dispatcher:
    """Answers requests. One per process; thread-safe."""

    def __init__(self, registry: Registry, context: ServiceContext) -> None:
        self.registry = registry
        self.context = context
        self.stored = StoredSettings(context.store)
        self.sessions = Sessions(context.store)
        self.authenticator = Authenticator(context.store, self.stored, self.sessions)
        self._parameters = ParameterCheck(registry, context.store)

    def handle(self, request: ApiRequest) -> ApiAnswer:
        """The answer to any request. Never raises; blocks on the store."""
        key = ERROR_KEY
        name = request.value("command")
        try:
            command = self.registry.commands.get(name)
            if command is not None and command.access == "anyone":
                key = command.envelope
                return self._invoke(command, _NOBODY, request)
            caller = self.authenticator.caller(request, command)
            allowed = command if command is not None and (caller.is_admin or command.access == "user") else None
            if allowed is None:
                raise ApiFault(UNSUPPORTED, _unknown(name))
            key = allowed.envelope
            return self._invoke(allowed, caller, request)
        except Exception as problem:
            return self.refuse(request, problem, key)

    def refuse(self, request: ApiRequest, problem: BaseException, key: str = ERROR_KEY) -> ApiAnswer:
        """The error answer for `problem`."""
        fault = fault_of(problem, request.value("command") or "a request without command")
        logger.info("%s from %s: %d %s", request.value("command")[:80], request.address, fault.code, fault.text)
        # Who is not authenticated is not told whether the command exists.
        shown = ERROR_KEY if fault.code == UNAUTHORIZED and key != "loginresponse" else key
        return self.render(request, shown, fault.body(), status=fault.code, error=fault.text)

    def render(
        self,
        request: ApiRequest,
        key: str,
        value: Any,
        *,
        status: int = 200,
        error: str = "",
        cookies: Mapping[str, str | None] | None = None,
    ) -> ApiAnswer:
        """An answer in the format that the request asks for: XML unless `response=json`."""
        as_json = request.value("response").lower() == "json"
        body = (envelope.to_json if as_json else envelope.to_xml)(key, envelope.pruned(value))
        kind = envelope.JSON_TYPE if as_json else envelope.XML_TYPE
        return ApiAnswer(status, body, kind, error, cookies or {})

    def call(self, command: Command, caller: Caller, request: ApiRequest) -> Call:
        """The checked call; `ApiFault` 431 for a parameter that is missing or malformed."""
        checked = self._parameters.check(command, request.parameters)
        page = Page()
        if command.paged:
            page = page_of(checked, self.stored.current().whole("default.page.size"))
        return Call(
            command=command,
            caller=caller,
            parameters=checked,
            context=self.context,
            registry=self.registry,
            stored=self.stored,
            page=page,
            keyword=str(checked.get("keyword", "")),
            address=request.address,
            cookies=request.cookies,
        )

    def _invoke(self, command: Command, caller: Caller, request: ApiRequest) -> ApiAnswer:
        call = self.call(command, caller, request)
        outcome = command.handler(call)
        cookies: Mapping[str, str | None] = {}
        if isinstance(outcome, Cookies):
            outcome, cookies = outcome.outcome, outcome.cookies
        return self.render(request, command.envelope, self._value(call, outcome), cookies=cookies)

    def _value(self, call: Call, outcome: Any) -> Any:
        """The value under the envelope's key."""
        if isinstance(outcome, JobRequest):
            return jobs.submit(call, outcome)
        if isinstance(outcome, Success):
            return {"success": True, "displaytext": outcome.displaytext or None}
        shown = self.registry.objects[call.command.responds]
        if isinstance(outcome, Listing):
            items = shown.build(call, outcome.items)
            counted: dict[str, Any] = {"count": outcome.count} if outcome.count else {}
            return counted | ({shown.name: items} if items else {})
        [item] = shown.build(call, [outcome])
        return {shown.name: item} if shown.wrapped else item


def _unknown(name: str) -> str:
    if not name:
        return "the parameter command is missing; listApis shows the commands there are"
    return f"unknown command {name[:60]!r}, or not one that you may use; listApis shows those you may"


_NOBODY: Any = None

"""The HTTP side: reads requests, keeps guessers waiting, hands the rest to threads, writes answers.

Never shows a traceback, never logs a query string (it may carry a password or a signature).
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookies import CookieError
from ipaddress import ip_address, ip_network
from urllib.parse import parse_qsl

from aiohttp import web

from holdfast_api import envelope
from holdfast_api.authentication import ApiRequest
from holdfast_api.dispatch import ApiAnswer, Dispatcher
from holdfast_api.faults import MALFORMED, TOO_LARGE, TOO_MANY, UNAUTHORIZED, WRONG_METHOD, ApiFault
from holdfast_api.throttle import Throttle

_FORM = "application/x-www-form-urlencoded"
_MOST_PARAMETERS = 5_000
_BODY_SECONDS = 60
_COOKIE_PATH = "/client"
_LOGINS_AT_ONCE = 2
"""A password hash takes 16 MiB and a core for 50 ms: logins never take the threads of other calls."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What the HTTP side is told by the configuration."""

    max_body: int
    threads: int
    trusted_proxies: tuple[str, ...] = ()
    secure_cookies: bool = False


class ApiServer:
    """Makes the aiohttp applications. `close` gives up the threads."""

    def __init__(self, dispatcher: Dispatcher, limits: HttpLimits) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._proxies = tuple(ip_network(text, strict=False) for text in limits.trusted_proxies)
        self._throttle = Throttle(time.monotonic)
        self._calls = ThreadPoolExecutor(limits.threads, thread_name_prefix="holdfast-api")
        self._logins = ThreadPoolExecutor(_LOGINS_AT_ONCE, thread_name_prefix="holdfast-api-login")

    def application(self, *, unsigned: bool = False) -> web.Application:
        """One listening side: the public one, or the unsigned integration port."""

        async def api(request: web.Request) -> web.Response:
            return await self._answer(request, unsigned)

        made = web.Application(client_max_size=self._limits.max_body)
        made.router.add_route("*", "/client/api", api)
        made.router.add_route("*", "/{tail:.*}", _elsewhere)
        return made

    def close(self) -> None:
        """Give up the threads; a call that still blocks is left to end by itself."""
        self._calls.shutdown(wait=False, cancel_futures=True)
        self._logins.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: web.Request, unsigned: bool) -> web.Response:
        asked = ApiRequest(request.method, {}, address=self._address(request), unsigned=unsigned)
        try:
            asked = await self._taken_apart(request, unsigned)
            answer = await self._handled(asked)
        except _Refused as refused:
            answer = self._dispatcher.refuse(refused.request, refused.fault)
        except Exception as problem:
            answer = self._dispatcher.refuse(asked, problem)
        return self._response(answer)

    async def _taken_apart(self, request: web.Request, unsigned: bool) -> ApiRequest:
        """The request; what is malformed still carries what is known, so that the refusal has the right format."""
        query = _pairs(request.raw_path.partition("?")[2])
        known = ApiRequest(request.method, query, _cookies(request), self._address(request), unsigned)
        problem: ApiFault | None = None
        if request.method not in ("GET", "POST"):
            problem = ApiFault(WRONG_METHOD, f"method {request.method} is not served here; use GET or POST")
        elif unsigned and _is_from_browser(request):
            problem = ApiFault(UNAUTHORIZED, "the integration port does not serve web pages of other sites")
        if problem is None and request.method == "POST":
            try:
                body = await self._body(request)
            except ApiFault as found:
                problem = found
            else:
                known = ApiRequest(request.method, {**body, **query}, known.cookies, known.address, unsigned)
        if problem is not None:
            raise _Refused(known, problem)
        return known

    async def _body(self, request: web.Request) -> dict[str, str]:
        limit = self._limits.max_body
        too_large = ApiFault(TOO_LARGE, f"the body is larger than {limit} bytes (max_body in the api settings)")
        if (request.content_length or 0) > limit:
            raise too_large
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise too_large from None
        except TimeoutError:
            raise ApiFault(MALFORMED, f"the body did not arrive within {_BODY_SECONDS} seconds") from None
        if not raw:
            return {}
        if request.content_type != _FORM:
            raise ApiFault(MALFORMED, f"a body of type {request.content_type!r} is not read; send {_FORM}")
        return _pairs(raw.decode("utf-8", "replace"))

    async def _handled(self, asked: ApiRequest) -> ApiAnswer:
        loop = asyncio.get_running_loop()
        if asked.value("command") != "login":
            return await loop.run_in_executor(self._calls, self._dispatcher.handle, asked)
        username = asked.value("username")[:255]
        wait = self._throttle.turn(username, asked.address)
        if wait is None:
            raise _Refused(asked, ApiFault(TOO_MANY, "too many failed logins of this user from here; wait a minute"))
        await asyncio.sleep(wait)
        answer = await loop.run_in_executor(self._logins, self._dispatcher.handle, asked)
        if answer.status == UNAUTHORIZED:
            self._throttle.failed(username, asked.address)
        elif answer.status == web.HTTPOk.status_code:
            self._throttle.passed(username, asked.address)
        return answer

    def _response(self, answer: ApiAnswer) -> web.Response:
        response = web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type})
        response.headers["Server"] = "holdfast"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        if answer.error:
            response.headers["X-Description"] = envelope.header_text(answer.error)
        for name, value in answer.cookies.items():
            if value is None:
                response.del_cookie(name, path=_COOKIE_PATH)
            else:
                response.set_cookie(
                    name, value, path=_COOKIE_PATH, httponly=True, samesite="Lax", secure=self._limits.secure_cookies
                )
        return response

    def _address(self, request: web.Request) -> str:
        """Where the request comes from: what a trusted balancer says, else the peer."""
        peer = request.remote or ""
        forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        for hop in reversed(forwarded):
            if not self._is_trusted(peer) or not hop:
                break
            peer = hop
        return peer[:64]

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


class _Refused(Exception):
    """A refusal before the request was wholly read, with what is known of it."""

    def __init__(self, request: ApiRequest, fault: ApiFault) -> None:
        super().__init__(fault.text)
        self.request = request
        self.fault = fault


async def _elsewhere(request: web.Request) -> web.Response:
    path = request.path
    hint = "the API is at /client/api"
    if path in ("/client", "/client/"):
        hint = "the web interface is not running here (service webui); " + hint
    return web.Response(status=404, text=f"not found; {hint}\n")


def _pairs(text: str) -> dict[str, str]:
    """Parameters of a query or form; of one that is sent twice the first counts."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise ApiFault(MALFORMED, f"there are more than {_MOST_PARAMETERS} parameters") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _cookies(request: web.Request) -> Mapping[str, str]:
    try:
        return dict(request.cookies)
    except CookieError:
        return {}


def _is_from_browser(request: web.Request) -> bool:
    site = request.headers.get("Sec-Fetch-Site", "none")
    return "Origin" in request.headers or site not in ("none", "same-origin")

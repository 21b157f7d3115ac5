"""The service `api`: listens, and carries the process's store into the HTTP side."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar

from aiohttp import web
from holdfast.errors import ConfigurationError
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.service import ServiceContext
from holdfast.options import Option

from holdfast_api.bootstrap import ensure_admin
from holdfast_api.dispatch import Dispatcher
from holdfast_api.registry import Registry
from holdfast_api.server import ApiServer, HttpLimits

logger = logging.getLogger(__name__)

_LONGEST_LINE_BYTES = 65_536


def _wrong_networks(found: tuple[str, ...]) -> str:
    for text in found:
        try:
            ip_network(text, strict=False)
        except ValueError:
            return f"{text!r} is not a network; write 10.0.0.0/24, or 10.0.0.5 for a single balancer"
    return ""


class ApiService:
    """Serves the CloudStack API. Leaves its ports in `context.live["api.port"]` and `["api.integration_port"]`."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "address": Option(str, "0.0.0.0", "address to listen on; all of them, for the balancer in front"),  # noqa: S104
        "port": Option(int, 8080, "port of /client/api; 0 takes any free one", low=0, high=65_535),
        "integration_address": Option(str, "127.0.0.1", "address of the unsigned API; never expose it"),
        "integration_port": Option(
            int, 0, "port of the unsigned API, 8096 by custom; 0 is off, -1 takes any free one", low=-1, high=65_535
        ),
        "max_body": Option(int, 2_097_152, "largest request body in bytes", low=1024, high=1_073_741_824),
        "threads": Option(int, 16, "calls handled at once", low=1, high=1000),
        "trusted_proxies": Option(
            tuple, (), "networks whose X-Forwarded-For is believed, such as 10.0.0.0/24", check=_wrong_networks
        ),
        "secure_cookies": Option(bool, False, "mark cookies Secure: set it when all clients come over HTTPS"),
        "stop_timeout": Option(
            float, 5.0, "seconds that running calls are given when the server stops", low=0, high=25
        ),
    }

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        defaults = {name: option.default for name, option in self.SETTINGS.items()}
        self._settings: dict[str, Any] = defaults | dict(settings or {})
        self._runners: list[web.AppRunner] = []
        self._server: ApiServer | None = None
        self._ended = asyncio.Event()

    @hookimpl
    async def start(self, context: ServiceContext) -> None:
        """Make `admin` if need be, then listen. `ConfigurationError` if an address or port cannot be had."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, ensure_admin, context.store, _show)
        dispatcher = Dispatcher(Registry.collect(), context)
        self._server = ApiServer(dispatcher, self._limits())
        set_ = self._settings
        try:
            context.live["api.port"] = await self._listen(set_["address"], set_["port"], unsigned=False)
            if set_["integration_port"] != 0:
                port = max(0, set_["integration_port"])
                bound = await self._listen(set_["integration_address"], port, unsigned=True)
                context.live["api.integration_port"] = bound
        except BaseException:
            await self.stop()
            raise

    @hookimpl
    async def wait(self) -> None:
        """Return once stopped."""
        await self._ended.wait()

    @hookimpl
    async def stop(self) -> None:
        """Stop listening, let running calls end. Idempotent."""
        runners, self._runners = self._runners, []
        for runner in runners:
            await runner.cleanup()
        if self._server is not None:
            self._server.close()
        self._ended.set()

    def _limits(self) -> HttpLimits:
        names = ("max_body", "threads", "trusted_proxies", "secure_cookies")
        return HttpLimits(**{name: self._settings[name] for name in names})

    async def _listen(self, address: str, port: int, *, unsigned: bool) -> int:
        assert self._server is not None
        runner = web.AppRunner(
            self._server.application(unsigned=unsigned),
            access_log=None,
            shutdown_timeout=self._settings["stop_timeout"],
            max_line_size=_LONGEST_LINE_BYTES,
            max_field_size=_LONGEST_LINE_BYTES,
        )
        await runner.setup()
        self._runners.append(runner)
        key = "integration_port" if unsigned else "port"
        try:
            await web.TCPSite(runner, address, port).start()
        except OSError as problem:
            raise ConfigurationError(
                f"service api: cannot listen on {address} port {port}: {problem.strerror or problem}; "
                f"choose another {key} or end the program that holds it"
            ) from None
        bound = int(runner.addresses[0][1])
        if unsigned and not _is_loopback(address):
            logger.warning("the unsigned API listens on %s: whoever reaches it is the administrator", address)
        logger.info("the %sAPI is at http://%s:%d/client/api", "unsigned " if unsigned else "", address, bound)
        return bound


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _show(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

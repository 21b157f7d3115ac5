"""Puts Holdfast into an assembled lab: the server, its cloud, the hosts' agents, the guests' template."""

from collections.abc import Callable
from pathlib import Path

from holdfast_cli.progress import ProgressLine
from holdfast_cli.waiting import Waiting

from holdfast_lab import addresses, cloud
from holdfast_lab.daemons import pid_of
from holdfast_lab.layout import Lab
from holdfast_lab.problems import LabError
from holdfast_lab.server import NAME, Server


def install(lab: Lab, image: Path, say: Callable[[str], None]) -> None:
    """Everything up to hosts that are Up and a template to make VMs of."""
    server = Server(lab)
    server.furnish()
    server.start()
    server.log_in()
    say(f"holdfast server: {addresses.API}")

    def alive() -> None:
        if not pid_of(NAME):
            raise LabError(f"holdfast server has ended; see {lab.logs}/holdfast.log")

    client = server.client
    made = cloud.build(lab, client, Waiting(ProgressLine(), alive), say)
    made.template = cloud.register_template(lab, client, made.zone, image)
    say("template holdfast-guest: a guest that writes a token of its run to its disk ten times a second")
    made.save(lab.folder)

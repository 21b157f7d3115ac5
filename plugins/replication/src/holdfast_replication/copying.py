"""Copies one MariaDB server's data to an empty one, with Debian's `mariadb-dump` and `mariadb`. Blocks."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import ConfigurationError, Refused
from holdfast.hooks.database import DatabaseServer

from holdfast_replication.reading import connect


def need_tools() -> None:
    """Raise `ConfigurationError` if this machine cannot copy."""
    for tool in ("mariadb-dump", "mariadb"):
        if shutil.which(tool) is None:
            raise ConfigurationError(
                f"{tool} is not installed here, and is needed to copy a server: apt-get install mariadb-client"
            )


def copy(source: DatabaseServer, target: DatabaseServer, databases: tuple[str, ...], seconds: float) -> None:
    """Give `target` the users and databases of `source` as of one moment, and its GTID position there.

    The target's own binary log is emptied first: the caller knows that nobody's data is in it. Raises `Refused` with
    the tool's words; the target is then half filled, and empty enough to be copied to again once they are dropped.
    """
    need_tools()
    connection = connect(target, seconds)
    try:
        with connection.cursor() as cursor:
            cursor.execute("RESET MASTER")
    finally:
        connection.close()
    with _login(source) as read_login, _login(target) as write_login:
        _pipe(read_login, write_login, ["--system=users", "--insert-ignore"], tolerant=True)
        if databases:
            what = ["--single-transaction", "--master-data=1", "--gtid", "--routines", "--events", "--triggers"]
            _pipe(read_login, write_login, [*what, "--hex-blob", "--databases", *databases], tolerant=False)
    _adopt_history(source, target, bool(databases), seconds)


def _adopt_history(source: DatabaseServer, target: DatabaseServer, loaded: bool, seconds: float) -> None:
    """Let the target's log begin where the copy ends, so that its own replicas may ask for it."""
    with connect(target, seconds) as connection, connection.cursor() as cursor:
        if not loaded:
            with connect(source, seconds) as other, other.cursor() as asked:
                asked.execute("SELECT @@GLOBAL.gtid_binlog_pos AS position")
                cursor.execute("SET GLOBAL gtid_slave_pos = %s", (asked.fetchone()["position"],))
        cursor.execute("SELECT @@GLOBAL.gtid_slave_pos AS position")
        position = cursor.fetchone()["position"]
        cursor.execute("RESET MASTER")
        if position:
            cursor.execute("SET GLOBAL gtid_binlog_state = %s", (position,))


def _pipe(read_login: int, write_login: int, options: list[str], tolerant: bool) -> None:
    """`mariadb-dump | mariadb`. What is loaded goes to no binary log: it is no change of the target's own."""
    load = ["mariadb", f"--defaults-extra-file=/dev/fd/{write_login}", "--init-command=SET SESSION sql_log_bin=0"]
    if tolerant:
        load.append("--force")  # a user that is there already, or one that no other server can have
    dump = ["mariadb-dump", f"--defaults-extra-file=/dev/fd/{read_login}", *options]
    with tempfile.TemporaryFile() as dump_words, tempfile.TemporaryFile() as load_words:
        reading = subprocess.Popen(  # noqa: S603
            dump, stdout=subprocess.PIPE, stderr=dump_words, pass_fds=(read_login,)
        )
        assert reading.stdout is not None
        writing = subprocess.Popen(  # noqa: S603
            load, stdin=reading.stdout, stdout=subprocess.DEVNULL, stderr=load_words, pass_fds=(write_login,)
        )
        reading.stdout.close()
        loaded, dumped = writing.wait(), reading.wait()
        for status, words, tool in ((dumped, dump_words, "mariadb-dump"), (loaded, load_words, "mariadb")):
            words.seek(0)
            if status and not (tolerant and tool == "mariadb"):
                raise Refused(f"{tool} failed: {words.read().decode(errors='replace').strip()}")


@contextmanager
def _login(server: DatabaseServer) -> Iterator[int]:
    """The login as a file in memory, by its descriptor: no password stands on a command line, and none stays on a disk
    if this process is killed.
    """
    handle = os.memfd_create("holdfast-login")
    password = server.password.reveal().replace("\\", "\\\\").replace('"', '\\"')
    text = (
        f'[client]\nhost="{server.host}"\nport={server.port}\nuser="{server.username}"\n'
        f'password="{password}"\nprotocol=tcp\n'
    )
    for word, key in (("ca", "ssl-ca"), ("cert", "ssl-cert"), ("key", "ssl-key")):
        if server.tls.get(word):
            text += f'{key}="{server.tls[word]}"\n'
    try:
        os.fchmod(handle, 0o600)  # MariaDB ignores a file that others may write
        os.write(handle, text.encode())
        yield handle
    finally:
        os.close(handle)

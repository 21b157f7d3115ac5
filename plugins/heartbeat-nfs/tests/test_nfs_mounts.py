"""Which share is mounted where."""

from holdfast_heartbeat_nfs.mounts import mount_number, mount_of_share, mounted_at, parse, read_mounts
from hypothesis import given
from hypothesis import strategies as st

TABLE = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
60 22 0:50 / /mnt/with\040space rw,relatime shared:30 - nfs4 nas:/export/a\040b rw,vers=4.2,nocto
61 22 0:51 / /mnt/pool rw shared:31 - nfs nas.example:/export/pool/ rw,vers=3,soft
62 22 0:52 / /mnt/six rw - nfs4 [fd00::1]:/six rw
63 22 0:53 / /mnt/old rw - nfs nas:/old rw
64 22 0:54 / /mnt/old rw - tmpfs none rw
nonsense
x 22 0:54 / /mnt/x rw - tmpfs none rw
""".splitlines()


def test_a_share_is_found_by_its_server_and_path() -> None:
    """Whatever its trailing slash, spaces or brackets."""
    mounts = list(parse(TABLE))
    assert len(mounts) == 6
    for address, path, point in (
        ("nas", "/export/a b", "/mnt/with space"),
        ("NAS.example", "/export/pool", "/mnt/pool"),
        ("fd00::1", "/six/", "/mnt/six"),
    ):
        found = mount_of_share(mounts, address, path)
        assert found is not None
        assert found.point == point
    assert mount_of_share(mounts, "nas", "/export") is None
    assert mount_of_share(mounts, "other", "/export/pool") is None


def test_a_share_below_another_mount_is_not_there() -> None:
    """What one would write into is the one on top."""
    mounts = list(parse(TABLE))
    assert mount_of_share(mounts, "nas", "/old") is None
    top = mounted_at(mounts, "/mnt/old/")
    assert top is not None
    assert top.kind == "tmpfs"
    assert mounted_at(mounts, "/mnt") is None


def test_options_of_mount_and_of_file_system_are_both_seen() -> None:
    """`nocto` is one of the latter."""
    assert {"rw", "relatime", "nocto"} <= next(m for m in parse(TABLE) if m.point == "/mnt/with space").options


@given(st.text(max_size=200))
def test_no_line_is_too_odd_to_be_read(text: str) -> None:
    """The table comes from outside."""
    list(parse(text.splitlines()))


def test_this_machine_has_mounts() -> None:
    """An open folder is on one of them."""
    with open("/proc/self/status", encoding="ascii") as opened:
        assert mount_number(opened.fileno()) in {mount.number for mount in read_mounts()}

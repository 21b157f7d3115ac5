"""Which LUN a pool's heartbeats are on."""

import pytest
from holdfast.errors import Refused, Unreachable
from holdfast.model.secret import Secret
from holdfast.model.views import PoolView
from holdfast_heartbeat_iscsi.driver import IscsiHeartbeat
from holdfast_heartbeat_iscsi.libiscsi import initiator_name

DIRECT = {"access": "libiscsi"}


def pool(address: str = "192.0.2.7", port: int = 0, path: str = "/iqn.2025-01.t:x/3", **details: str) -> PoolView:
    named = {f"heartbeat.{key}": value for key, value in details.items()}
    return PoolView("uuid-1", "pool", "IscsiLUN", "iscsi", address, port, path, named)


@pytest.mark.parametrize(
    ("view", "portal", "target", "lun"),
    [
        (pool(), "192.0.2.7:3260", "iqn.2025-01.t:x", 3),
        (pool(port=3261), "192.0.2.7:3261", "iqn.2025-01.t:x", 3),
        (pool("fd00::7"), "[fd00::7]:3260", "iqn.2025-01.t:x", 3),
        (pool(device="iscsi://nas/iqn.2025-01.t:y/0"), "nas:3260", "iqn.2025-01.t:y", 0),
        (pool(device="iscsi://nas:3262/iqn.2025-01.t:y/9"), "nas:3262", "iqn.2025-01.t:y", 9),
        (pool(device="iscsi://[fd00::8]/iqn.2025-01.t:y/9"), "[fd00::8]:3260", "iqn.2025-01.t:y", 9),
    ],
)
def test_the_lun_follows_from_the_pool_or_its_detail(view: PoolView, portal: str, target: str, lun: int) -> None:
    """The detail wins."""
    worker, parts = IscsiHeartbeat(DIRECT).worker_for(view)
    assert worker.endswith("LunArea")
    assert parts[2:5] == (portal, target, lun)


def test_a_block_device_is_named_by_its_path() -> None:
    """Any shared disk will do."""
    assert IscsiHeartbeat().worker_for(pool(device="/dev/mapper/beats")) == (
        "holdfast_heartbeat_iscsi.workers:DeviceArea",
        ("uuid-1", True, "/dev/mapper/beats"),
    )


@pytest.mark.parametrize("view", [pool(path="/iqn.x"), pool(path=""), pool(address=""), pool(device="beats")])
def test_a_pool_that_names_no_lun_is_refused(view: PoolView) -> None:
    """The text says what to give."""
    with pytest.raises(Refused, match=r"heartbeat\.device"):
        IscsiHeartbeat(DIRECT).worker_for(view)


def test_a_device_that_is_not_there_is_unreachable() -> None:
    """With the command to look at sessions."""
    driver = IscsiHeartbeat({"access": "device"})
    try:
        with pytest.raises(Unreachable, match="iscsiadm"):
            driver.prepare(pool(), "host", 20)
    finally:
        driver.close()


def test_the_password_stays_hidden() -> None:
    """In what people see of the driver."""
    driver = IscsiHeartbeat({"chap_user": "u", "chap_password": Secret("twelve-chars")})
    assert "twelve-chars" not in f"{driver!r} {driver._settings!r}"


def test_the_initiator_has_a_name_in_any_case() -> None:
    """The configured one wins."""
    assert initiator_name("iqn.mine") == "iqn.mine"
    assert initiator_name("").startswith("iqn.")

"""What a lab is made of, as chosen at `up` and remembered in its folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast_lab.problems import LabError

FIRST_HOST = 31
FEWEST_HOSTS, MOST_HOSTS = 2, 16
STORAGES = ("nfs", "iscsi")
BMCS = ("ipmi", "redfish")
DATABASES = ("sqlite", "mariadb")
_NAME = "options.json"


@dataclass(frozen=True, slots=True)
class Options:
    """The choices. `watchdog` says whether hosts have one."""

    hosts: int = 3
    storage: str = "nfs"
    oobm: str = "ipmi"
    db: str = "sqlite"
    watchdog: bool = True

    def __post_init__(self) -> None:
        if not FEWEST_HOSTS <= self.hosts <= MOST_HOSTS:
            raise LabError(f"--hosts is {self.hosts}; a lab has {FEWEST_HOSTS} to {MOST_HOSTS}")
        for word, value, known in (
            ("--storage", self.storage, STORAGES),
            ("--oobm", self.oobm, BMCS),
            ("--db", self.db, DATABASES),
        ):
            if value not in known:
                raise LabError(f"{word} is {value!r}; there is {' and '.join(known)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts' names."""
        return tuple(f"ablecube{FIRST_HOST + index}" for index in range(self.hosts))

    def save(self, folder: Path) -> None:
        """Remember them."""
        (folder / _NAME).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Options":
        """Those of the lab in `folder`; `LabError` if there is none."""
        try:
            return cls(**json.loads((folder / _NAME).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise LabError(f"there is no lab in {folder}; make one with: sh contrib/dev/run lab up") from None
        except (ValueError, TypeError) as problem:
            raise LabError(
                f"{folder / _NAME} is damaged ({problem}); end the lab with: lab down, then: lab up"
            ) from None

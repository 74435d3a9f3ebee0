"""systemd units as data; their format has repeated keys, so it is no INI file."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "systemd"


@dataclass
class Unit:
    """A unit's settings: for each name what was assigned, in order; an empty assignment stays."""

    path: Path
    values: dict[str, list[str]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        (value,) = self.values[name]
        return value

    def command(self) -> list[str]:
        return shlex.split(self.one("ExecStart"))

    def environment(self) -> dict[str, str]:
        pairs = (pair.partition("=") for line in self.values["Environment"] for pair in shlex.split(line))
        return {name: value for name, _, value in pairs}


def read(name: str) -> Unit:
    """The unit `name` of the folder."""
    unit = Unit(FOLDER / name)
    for line in unit.path.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            unit.values.setdefault(key, []).append(value)
    return unit

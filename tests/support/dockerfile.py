"""What a Dockerfile says, as data: its stages and their instructions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CONTINUED = re.compile(r"\\\n")


@dataclass(frozen=True)
class Instruction:
    """One instruction. `words` is the list of its JSON form, or None where it was written for a shell."""

    name: str
    text: str
    words: tuple[str, ...] | None


@dataclass
class Stage:
    """`FROM base AS name` and what follows it."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]

    def last(self, name: str) -> Instruction | None:
        return next(reversed(self.all(name)), None)


def parse(path: Path) -> dict[str, Stage]:
    """The stages by name, in order.

    Raises:
        ValueError: a stage has no name, or an instruction stands before the first stage.
    """
    lines = (line for line in path.read_text().splitlines(keepends=True) if not line.lstrip().startswith("#"))
    stages: dict[str, Stage] = {}
    for line in _CONTINUED.sub("", "".join(lines)).splitlines():
        if not line.strip():
            continue
        name, _, text = line.strip().partition(" ")
        if name == "FROM":
            base, keyword, stage = text.split()
            if keyword != "AS":
                raise ValueError(line)
            stages[stage] = Stage(stage, base)
        elif stages:
            next(reversed(stages.values())).instructions.append(_instruction(name, text.strip()))
        else:
            raise ValueError(line)
    return stages


def lineage(stages: dict[str, Stage], name: str) -> Sequence[Stage]:
    """A stage and those that it is built on, the first of them first."""
    stage = stages[name]
    return [*(lineage(stages, stage.base) if stage.base in stages else ()), stage]


def _instruction(name: str, text: str) -> Instruction:
    command = text.split("CMD ", 1)[1] if name == "HEALTHCHECK" and "CMD " in text else text
    if not command.lstrip().startswith("["):
        return Instruction(name, text, None)
    return Instruction(name, text, tuple(json.loads(command)))

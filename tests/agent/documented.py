"""The examples of the documents, and how a shell would run them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner, Result

from federation.agent.commands.app import app
from tests.agent.conftest import Bench

DOCS = Path(__file__).parents[2] / "docs"


def text_of(name: str) -> str:
    """A document of `docs/`."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str, language: str = "") -> list[str]:
    """The fenced blocks of a document that are marked as of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(name), re.MULTILINE | re.DOTALL)


def run(bench: Bench, line: str) -> Result:
    """One line as a shell runs it: pipes from `cat` and `head`, and into a file."""
    command, _, target = line.partition("#")[0].partition(" > ")
    *before, last = (shlex.split(part) for part in command.split("|"))
    given = None
    if before:
        text = Path(before[0][-1]).read_text()
        given = text.splitlines(keepends=True)[0] if before[0][0] == "head" else text
    assert last[0] == "flxdr-agent"
    arguments = [*last[1:], "--home", str(bench.home.folder)]
    result = CliRunner().invoke(app, arguments, obj=bench.surroundings, input=given)
    if target:
        Path(target.strip()).write_text(result.stdout)
    return result

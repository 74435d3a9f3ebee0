"""Options that the commands share, and the frame in which every command runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from federation.agent.errors import exit_code_of
from federation.agent.output import Output
from federation.agent.session import Agent, Surroundings, open_agent
from flxdr.core.errors import FlxdrError

Home = Annotated[
    Path,
    typer.Option("--home", envvar="FLXDR_AGENT_HOME", help="The agent's folder.", show_default="~/.flxdr-agent"),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable answer on stdout; logs stay on stderr.")]
DEFAULT_HOME = Path("~/.flxdr-agent")


@contextmanager
def reporting(machine: bool) -> Iterator[Output]:
    """The command's voice; an error of the hierarchy becomes a message and an exit code."""
    output = Output(machine=machine)
    try:
        yield output
    except FlxdrError as error:
        output.error(error)
        raise typer.Exit(exit_code_of(error)) from error


@contextmanager
def opened(context: typer.Context, home: Path, machine: bool) -> Iterator[Agent]:
    """The agent that lives in `home`, for the length of a command."""
    with reporting(machine) as output, open_agent(home.expanduser(), output, surroundings(context)) as agent:
        yield agent


def surroundings(context: typer.Context) -> Surroundings:
    """What the caller of the command line handed in; the real machine by default."""
    return context.obj if isinstance(context.obj, Surroundings) else Surroundings()

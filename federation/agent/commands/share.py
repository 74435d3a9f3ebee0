"""`share`: tell the federation of an alert, without saying whose hosts it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from federation.agent import sharing
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened
from federation.agent.detection.reading import STDIN
from federation.agent.errors import UsageInvalid
from federation.agent.output import table
from federation.agent.session import Agent
from federation.detections.facts import Facts

MAX_ALERTS = 1000


def share(
    context: typer.Context,
    *,
    file: Annotated[
        Path, typer.Argument(metavar="ALERT.json|-", help="Alerts as `detect` writes them, one a line; - is stdin.")
    ],
    note: Annotated[str, typer.Option("--note", help="Words for the other members; identifiers are taken out.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would leave; nothing is sent.")] = False,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Share alerts with the federation: signed, without hosts, addresses or pseudonyms. The members can read them."""
    with opened(context, home, machine) as agent:
        found = [(alert, *sharing.facts_of(agent, alert, note)) for alert in _alerts(file)]
        if not found:
            raise UsageInvalid("there is no alert to share", expected="at least one line")
        if dry_run:
            _show(agent, found)
            return
        answers = [sharing.share(agent, alert_id, facts) for _, alert_id, facts in found]
        rows = [(each.get("alert_id"), each.get("family"), each.get("received_at")) for each in answers]
        agent.output.result({"shared": answers}, table("Shared", ("id", "family", "received"), rows))


def _show(agent: Agent, found: list[tuple[dict[str, Any], str, Facts]]) -> None:
    shown = [
        {
            "alert_id": alert_id,
            "leaves": orjson.loads(sharing.statement_of(agent, alert_id, facts)),
            "stays": sharing.left_out(alert),
        }
        for alert, alert_id, facts in found
    ]
    lines: list[str | Table] = []
    for each in shown:
        lines.append(table("Leaves, signed", ("what", "value"), [(k, _plain(v)) for k, v in each["leaves"].items()]))
        lines.append("Stays here: " + ", ".join(each["stays"]))
    agent.output.result({"dry_run": shown}, *lines, "Nothing was sent.")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _alerts(file: Path) -> Iterator[dict[str, Any]]:
    try:
        data = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    except OSError as error:
        raise UsageInvalid(f"{file} cannot be read: {error.strerror}", expected="a file of alerts") from error
    lines = [line for line in data.splitlines() if line.strip()]
    if len(lines) > MAX_ALERTS:
        raise UsageInvalid(f"{len(lines)} alerts at once", expected=f"at most {MAX_ALERTS}")
    for number, line in enumerate(lines, start=1):
        try:
            alert = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageInvalid(f"{file}:{number} is no JSON: {error}", expected="one alert a line") from error
        if not isinstance(alert, dict):
            raise UsageInvalid(f"{file}:{number} is no alert", expected="a line that `flxdr-agent detect` wrote")
        yield alert

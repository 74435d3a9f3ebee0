"""`manage.py verify_installation`: does this installation do what it should, from imports to the API?"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flxdr.core.terminal import printable
from flxdr.installation.outcome import Outcome
from flxdr.installation.run import GROUPS, verify_installation


class Command(BaseCommand):
    help = (
        "Seven groups of checks, each the real thing in a folder that is thrown away: imports, federation, privacy, "
        "models, ledger, aggregation, API routes. Exit code 1 if one does not hold. The configured coordinator is not "
        "touched."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="answer with one JSON document")

    def handle(self, *, json: bool, **_: Any) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # one line a request is not for this screen
        outcomes = []
        for outcome in verify_installation():
            outcomes.append(outcome)
            if not json:
                self._tell(outcome)
        held = sum(outcome.holds for outcome in outcomes)
        if json:
            self.stdout.write(_document(outcomes))
        else:
            self.stdout.write(f"{held}/{len(GROUPS)}")
        if held < len(GROUPS):
            raise CommandError(f"{len(GROUPS) - held} group(s) do not hold")

    def _tell(self, outcome: Outcome) -> None:
        mark = self.style.SUCCESS("holds ") if outcome.holds else self.style.ERROR("BROKEN")
        self.stdout.write(f"{mark} {outcome.group}: {printable(outcome.evidence)} ({outcome.seconds:.1f} s)")


def _document(outcomes: list[Outcome]) -> str:
    return json.dumps([asdict(outcome) for outcome in outcomes])

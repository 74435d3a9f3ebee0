"""`manage.py discard_unnamed`: files that nothing refers to."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from federation.selectors.stored_files import unnamed_files
from federation.services.retention import discard_unnamed
from flxdr.core.clock import SystemClock


class Command(BaseCommand):
    help = (
        "Count the stored files that no row of the database names, and with --yes remove those that were stored more "
        "than --hours ago. Only with the database that the files belong to: with another one all are without names."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=int, default=24, help="spare what is younger, at least 1 (%(default)s)")
        parser.add_argument("--yes", action="store_true", help="remove them")

    def handle(self, *, hours: int, yes: bool, **_: Any) -> None:
        if hours < 1:
            raise CommandError("--hours is at least 1: a file comes before its row")
        if yes:
            gone = discard_unnamed(hours=hours, actor="command", clock=SystemClock())
            self.stdout.write(f"{gone} files that no row names are removed.")
        else:
            found = sum(1 for _ in unnamed_files())
            self.stdout.write(f"{found} files that no row names; --yes removes those older than {hours} hours.")

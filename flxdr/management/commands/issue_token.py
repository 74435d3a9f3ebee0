"""`manage.py issue_token`: a token that the coordinator signs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flxdr.core.errors import FlxdrError
from flxdr.platform.audit import record_event
from flxdr.platform.auth import directory, tokens
from flxdr.platform.auth.verification import require_active
from flxdr.platform.identity import coordinator_key


class Command(BaseCommand):
    help = "Issue a bearer token for an organisation, or for an operator. The token is alone on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the organisation's org_id, or the operator's name")
        parser.add_argument(
            "--role", choices=(tokens.ORGANIZATION, tokens.OPERATOR), default=tokens.ORGANIZATION, help="(%(default)s)"
        )
        parser.add_argument(
            "--days",
            type=int,
            default=30,
            help=f"days until it expires, at most {tokens.LONGEST_ISSUED.days} (%(default)s)",
        )

    def handle(self, *, name: str, role: str, days: int, **_: Any) -> None:
        if not 1 <= days <= tokens.LONGEST_ISSUED.days:
            raise CommandError(f"--days {days} is not allowed; allowed: 1 to {tokens.LONGEST_ISSUED.days}")
        if not 1 <= len(name) <= 64:
            raise CommandError("a name has 1 to 64 characters")
        if role == tokens.ORGANIZATION:
            try:
                require_active(name, directory.current().look_up(name))
            except FlxdrError as error:
                raise CommandError(str(error)) from error
        token = tokens.issue_token(key=coordinator_key(), subject=name, role=role, lifetime=timedelta(days=days))
        with transaction.atomic():
            record_event(kind="token.issued", actor="command", subject=name, data={"role": role, "days": days})
        self.stderr.write(f"A token for the {role} {name}, valid for {days} days. Who holds it acts as {name}.")
        self.stdout.write(token)

"""`manage.py reset_second_factor`: for an administrator whose device and recovery codes are lost."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from flxdr.core.errors import FlxdrError
from flxdr.operators import second_factor


class Command(BaseCommand):
    help = "Take the device and the recovery codes from an account, which may then set up another device."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="with which the operator signs in")

    def handle(self, *, name: str, **_: Any) -> None:
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"there is no account {name!r}")
        try:
            second_factor.reset(user=user, actor="command")
        except FlxdrError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{name} has no second factor any more.")

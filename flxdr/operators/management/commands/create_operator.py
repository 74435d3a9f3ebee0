"""`manage.py create_operator`: an account for somebody who operates, with a role."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flxdr.core.errors import FlxdrError
from flxdr.operators.accounts import create_operator
from flxdr.operators.roles import DESCRIPTIONS, OPERATOR, ROLES


class Command(BaseCommand):
    help = "Make an account with a role. " + "; ".join(f"{role}: {DESCRIPTIONS[role]}" for role in ROLES) + "."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="with which the operator signs in, and which the audit trail keeps")
        parser.add_argument("--role", choices=ROLES, default=OPERATOR, help="(%(default)s)")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    def handle(self, *, name: str, role: str, password_stdin: bool, **_: Any) -> None:
        try:
            create_operator(name=name, role=role, password=_password(password_stdin), actor="command")
        except FlxdrError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{name} signs in as {role}: {DESCRIPTIONS[role]}.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Password (again): ") != password:
        raise CommandError("the two passwords differ")
    return password

"""`manage.py settings_doc`: write `docs/settings.md` from `flxdr.env`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flxdr.env import BASE_DIR, DEVELOPMENT, PRODUCTION, Env
from flxdr.platform.configuration import Variable, variables_of

TARGET = BASE_DIR / "docs" / "settings.md"
INTRODUCTION = """\
# Settings

Written by `manage.py settings_doc` from `flxdr/env/`; do not edit.

Every setting is an environment variable, read once at the start. An empty variable counts as unset. A value that is not
allowed stops the start: the message names the variable, the value and what is allowed. A secret (marked *secret*) may
instead be in a file that `NAME_FILE` names; values of secrets never show in messages. `manage.py check` warns of
misspelt variables.

`FL_ENV=production` refuses to start without `SECRET_KEY`, `API_HMAC_KEY`, `PQC_SK_B64` and `FL_ALLOWED_HOSTS`
(`manage.py generate_keys` prints such keys) and with values that can be guessed. [security.md](security.md) says what
production needs beside settings: TLS, client certificates, a proxy.
"""


class Command(BaseCommand):
    help = "Write docs/settings.md from the declared variables."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", type=Path, default=TARGET, help="(%(default)s)")
        parser.add_argument("--check", action=argparse.BooleanOptionalAction, default=False, help="only compare")

    def handle(self, *, output: Path, check: bool, **_: Any) -> None:
        document = settings_document()
        if not check:
            output.write_text(document, encoding="utf-8")
            self.stdout.write(f"{output} written")
        elif not output.exists() or output.read_text(encoding="utf-8") != document:
            raise CommandError(f"{output} is out of date; run `manage.py settings_doc`")


def settings_document() -> str:
    """The whole document."""
    return "\n".join([INTRODUCTION, *_tables()])


def _tables() -> Iterator[str]:
    for group, members in groupby(variables_of(Env).values(), key=lambda declared: declared.group):
        yield f"## {group}\n\n| variable | default | allowed | meaning |\n|---|---|---|---|"
        yield from (_row(declared) for declared in members)
        yield ""


def _row(declared: Variable) -> str:
    name = f"`{declared.name}`" + (" *secret*" if declared.secret else "")
    cells = (name, _default(declared), declared.parser.allowed, declared.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(declared: Variable) -> str:
    if isinstance(declared.default, str):
        return _shown(declared.default)
    return (
        f"{_shown(declared.default[DEVELOPMENT])} in development, {_shown(declared.default[PRODUCTION])} in production"
    )


def _shown(default: str) -> str:
    if not default:
        return "unset"
    return f"`{Path(default).relative_to(BASE_DIR)}/`" if default.startswith(str(BASE_DIR)) else f"`{default}`"

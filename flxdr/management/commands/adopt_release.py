"""`manage.py adopt_release`: after `restore_chain`, store the model of a release that the backup did not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from federation.services.adoption import adopt_release
from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError
from flxdr.core.terminal import printable


class Command(BaseCommand):
    help = (
        "Store a model's file for the releases of it that the chain has and this database lacks, so that its next "
        "round can start from it. Agents keep such files in their folder `models`. Exit code 1 if the chain releases "
        "no such model, 2 if the file cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="HASH.safetensors")

    def handle(self, *, file: Path, **_: Any) -> None:
        try:
            adopted = adopt_release(path=file, clock=SystemClock())
        except OSError as error:
            raise CommandError(f"the file cannot be read: {error}", returncode=2) from error
        except FlxdrError as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        for version in adopted:
            self.stdout.write(f"{version} of block {version.block_height} is {version.status} again")

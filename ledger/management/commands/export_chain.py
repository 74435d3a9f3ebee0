"""`manage.py export_chain`: the whole chain as a file that anyone can verify without this database."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.errors import BlockMissing
from ledger.services import exporting


class Command(BaseCommand):
    help = (
        "Write every block with its approvals, one JSON document a line, and the log's checkpoint of them. Verify "
        "the file with `flxdr-agent verify FILE --genesis HASH` or `manage.py verify_chain --export FILE`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="where to write it; - for the standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            extent = exporting.extent()
            if extent.checkpoint is None:
                self.stderr.write(f"no checkpoint in the file: {extent.problem}")
            if path == Path("-"):
                exporting.write(sys.stdout.buffer, extent)
            elif path.exists() and not path.is_file():  # a pipe, a device
                with path.open("wb") as file:
                    exporting.write(file, extent)
            else:
                exporting.replace(path, extent)
        except OSError as error:
            raise CommandError(f"the file cannot be written: {error}", returncode=2) from error
        except BlockMissing as error:
            raise CommandError(str(error), returncode=2) from error
        self.stderr.write(f"{extent.blocks} block(s) of the chain {extent.chain_id}, newest {extent.head}")

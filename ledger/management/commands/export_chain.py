"""`manage.py export_chain`: the whole chain as a file that anyone can verify without this database."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from flxdr.platform.identity import coordinator_key
from flxdr.platform.storage.files import flush_to_disk, sync_folder, temporary_file
from ledger import selectors
from ledger.chain import export
from ledger.errors import BlockMissing, TreeDamaged
from ledger.services import checkpoints
from ledger.services.verification import newest_height


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
            chain_id, tip = selectors.chain_id(), newest_height()
            checkpoint = self._checkpoint(tip + 1)
            if path == Path("-"):
                _write(sys.stdout.buffer, chain_id, tip, checkpoint)
            elif path.exists() and not path.is_file():  # a pipe, a device
                with path.open("wb") as file:
                    _write(file, chain_id, tip, checkpoint)
            else:
                _replace(path, chain_id, tip, checkpoint)
        except OSError as error:
            raise CommandError(f"the file cannot be written: {error}", returncode=2) from error
        except BlockMissing as error:
            raise CommandError(str(error), returncode=2) from error
        self.stderr.write(f"{tip + 1} block(s) of the chain {chain_id}, newest {selectors.block_at(tip).block_hash}")

    def _checkpoint(self, size: int) -> dict[str, Any] | None:
        if selectors.key_set().coordinator != coordinator_key().public:
            self.stderr.write("no checkpoint in the file: the coordinator's key at hand is not the chain's")
            return None
        try:
            return checkpoints.checkpoint_document(checkpoints.checkpoint(size=size))
        except TreeDamaged as error:
            self.stderr.write(f"no checkpoint in the file: {error}")
            return None


def _write(file: BinaryIO, chain_id: str, tip: int, checkpoint: dict[str, Any] | None) -> None:
    file.writelines(export.lines(chain_id, selectors.chain_records(0, tip), checkpoint))


def _replace(path: Path, chain_id: str, tip: int, checkpoint: dict[str, Any] | None) -> None:
    """Write the whole file or nothing: one that ends after some line reads as a shorter chain, not as a damaged one."""
    with temporary_file(path.parent) as (file, temporary):
        _write(file, chain_id, tip, checkpoint)
        flush_to_disk(file)
        temporary.chmod(0o644)  # there is nothing in it that is not for everybody who verifies
        temporary.replace(path)
    sync_folder(path.parent)

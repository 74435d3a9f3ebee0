"""`manage.py restore`: put a backup back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from flxdr.backup.restoring import Restored, restore_backup
from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError, Malformed
from flxdr.core.terminal import printable
from ledger.management.arguments import add_checkpoint_arguments, hash_argument, held_checkpoints


class Command(BaseCommand):
    help = (
        "Verify a backup, then put it back: into an empty database, or with --replace into any. Stop the coordinator "
        "first. Exit code 1 if the backup is refused, and then nothing was touched; 2 if it cannot be read or written."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dir", type=Path, help="one backup: a folder with a manifest.json")
        parser.add_argument("--replace", action="store_true", help="keep what is there in FL_DATA_DIR/replaced")
        parser.add_argument("--sha256", type=hash_argument, metavar="HASH", help="of its manifest, as it was printed")
        parser.add_argument("--genesis", type=hash_argument, metavar="HASH", help="the genesis hash that you expect")
        add_checkpoint_arguments(parser)
        parser.add_argument("--json", action="store_true", help="answer with one JSON document")

    def handle(self, **options: Any) -> None:
        try:
            restored = restore_backup(
                folder=options["dir"],
                clock=SystemClock(),
                replace=options["replace"],
                sha256=options["sha256"],
                genesis=options["genesis"],
                checkpoints=held_checkpoints(options),
            )
        except OSError as error:
            raise CommandError(f"not restored: {error}", returncode=2) from error
        except Malformed as error:
            raise CommandError(f"the checkpoint cannot be read: {printable(str(error))}", returncode=2) from error
        except FlxdrError as error:
            if options["json"]:
                self.stdout.write(json.dumps(error.as_problem()))
            raise CommandError(f"not restored: {printable(str(error))}", returncode=1) from error
        except DatabaseError as error:
            raise CommandError(f"not restored: {error}", returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(_document(restored)))
        else:
            self._tell(restored)

    def _tell(self, restored: Restored) -> None:
        document = restored.backup.manifest
        for warning in restored.warnings:
            self.stdout.write(self.style.WARNING(f"warning: {warning}"))
        counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in document.counts.items())
        self.stdout.write(f"{counts}; {restored.files} stored file(s) put back, {document.blobs} in all")
        self.stdout.write(f"what happened after {document.made_at} is not in it")
        if restored.replaced_blocks is not None and restored.replaced_blocks > document.chain.blocks:
            lost = restored.replaced_blocks - document.chain.blocks
            self.stdout.write(
                self.style.WARNING(f"the database before had {lost} block(s) more: agents that saw them stop here")
            )
        if restored.aside is not None:
            self.stdout.write(f"what was there before is kept in {restored.aside}")
        self.stdout.write(f"{restored.unanchored} block(s) unanchored: no checkpoint that was given covers them")
        self.stdout.write(
            self.style.SUCCESS(f"restored: {document.chain.blocks} block(s), chain valid, newest {document.chain.head}")
        )


def _document(restored: Restored) -> dict[str, Any]:
    document = restored.backup.manifest
    return {
        "made_at": document.made_at,
        "blocks": document.chain.blocks,
        "last_block_hash": document.chain.head,
        "files": restored.files,
        "replaced_blocks": restored.replaced_blocks,
        "aside": None if restored.aside is None else str(restored.aside),
        "unanchored": restored.unanchored,
        "warnings": list(restored.warnings),
    }

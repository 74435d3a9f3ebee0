"""`manage.py restore_chain`: put an exported chain back into a database."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError, Malformed
from flxdr.core.terminal import printable
from flxdr.platform.identity import coordinator_key
from ledger.management.arguments import add_checkpoint_arguments, hash_argument, held_checkpoints
from ledger.services.restoring import Restored, restore_chain


class Command(BaseCommand):
    help = (
        "Append the blocks of an export that this database lacks, each verified. Stop the coordinator first. The "
        "database may be empty or hold a prefix of the export; one that was killed goes on when it is run again. "
        "Exit code 1 if the export is bad, or behind the database or a checkpoint, or contradicts one; 2 if it cannot "
        "be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="what `export_chain` wrote")
        parser.add_argument("--genesis", type=hash_argument, metavar="HASH", help="the genesis hash that you expect")
        add_checkpoint_arguments(parser)
        parser.add_argument(
            "--replace-fresh",
            action="store_true",
            help="drop the genesis that the migration of a new database made; refused if anything happened since",
        )
        parser.add_argument("--json", action="store_true", help="answer with one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            restored = restore_chain(
                path=options["file"],
                clock=SystemClock(),
                genesis=options["genesis"],
                checkpoints=held_checkpoints(options),
                replace_fresh=options["replace_fresh"],
                progress=lambda done, total: self.stderr.write(f"{done} of {total} block(s)"),
            )
        except OSError as error:
            raise CommandError(f"the file cannot be read: {error}", returncode=2) from error
        except Malformed as error:  # of an export this is an ExportInvalid
            raise CommandError(f"the checkpoint cannot be read: {printable(str(error))}", returncode=2) from error
        except FlxdrError as error:
            if options["json"]:
                self.stdout.write(json.dumps(error.as_problem()))
            raise CommandError(printable(str(error)), returncode=1) from error
        self._tell(restored, pinned=options["genesis"] is not None, as_json=options["json"])

    def _tell(self, restored: Restored, *, pinned: bool, as_json: bool) -> None:
        state, blocks = restored.state, restored.state.height + 1
        warnings = []
        if not pinned and restored.held == 0:
            warnings.append(f"no --genesis was given: compare {state.chain_id} with what the members pinned")
        if state.keys.coordinator.key_id != coordinator_key().public.key_id:
            warnings.append(
                "this coordinator's key is not the chain's: put back the keys folder of FL_DATA_DIR, or PQC_SK_B64"
            )
        document = {
            "chain_id": state.chain_id,
            "blocks": blocks,
            "restored": blocks - restored.held,
            "last_block_hash": state.block_hash,
            "warnings": warnings,
        }
        if as_json:
            self.stdout.write(json.dumps(document))
            return
        for warning in warnings:
            self.stdout.write(self.style.WARNING(f"warning: {warning}"))
        self.stdout.write(
            self.style.SUCCESS(f"{document['restored']} block(s) restored, {blocks} in all, newest {state.block_hash}")
        )

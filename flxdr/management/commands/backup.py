"""`manage.py backup`: everything that a coordinator has to keep, while it runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from flxdr.backup.errors import BackupInvalid
from flxdr.backup.making import Made, make_backup
from flxdr.backup.rotation import rotate
from flxdr.backup.verification import Verified, verify_backup
from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError, Malformed
from flxdr.core.terminal import printable
from ledger.management.arguments import add_checkpoint_arguments, hash_argument, held_checkpoints


class Command(BaseCommand):
    help = (
        "Back up database, stored files, chain and checkpoint into a new folder of DIR, of one moment, while the "
        "coordinator runs. Exit code 1 if stored files are missing (the rest is saved), or if what --verify reads "
        "does not hold; 2 if there is no backup."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dir", type=Path, help="where the backups are; with --verify, one of them")
        parser.add_argument("--keep", type=_at_least_one, metavar="N", help="remove all but the newest N complete ones")
        parser.add_argument("--with-keys", action="store_true", help="also the coordinator's keys in FL_DATA_DIR/keys")
        parser.add_argument("--verify", action="store_true", help="make none; read and verify the one that is named")
        parser.add_argument("--sha256", type=hash_argument, metavar="HASH", help="of its manifest, as it was printed")
        parser.add_argument("--genesis", type=hash_argument, metavar="HASH", help="the genesis hash that you expect")
        add_checkpoint_arguments(parser)
        parser.add_argument("--json", action="store_true", help="answer with one JSON document")

    def handle(self, **options: Any) -> None:
        try:
            if options["verify"]:
                self._verify(options)
            else:
                self._make(options)
        except OSError as error:
            raise CommandError(f"no backup: {error}", returncode=2) from error
        except Malformed as error:
            raise CommandError(f"the checkpoint cannot be read: {printable(str(error))}", returncode=2) from error
        except BackupInvalid as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        except (FlxdrError, DatabaseError) as error:
            raise CommandError(f"no backup: {printable(str(error))}", returncode=2) from error

    def _make(self, options: dict[str, Any]) -> None:
        made = make_backup(into=options["dir"], clock=SystemClock(), with_keys=options["with_keys"])
        removed = rotate(into=options["dir"], keep=options["keep"]) if options["keep"] else []
        if options["json"]:
            self.stdout.write(json.dumps(_document(made, removed)))
        else:
            self._tell(made, removed)
        if not made.manifest.is_complete:
            raise SystemExit(1)

    def _tell(self, made: Made, removed: list[Path]) -> None:
        document = made.manifest
        self.stdout.write(
            f"{document.chain.blocks} block(s), newest {document.chain.head}; {document.blobs} stored file(s), "
            f"{made.linked} of them linked to the backup before; {made.bytes} bytes"
        )
        if not document.has_keys:
            self.stdout.write("without the coordinator's keys: keep PQC_SK_B64 or FL_DATA_DIR/keys elsewhere")
        if document.removed:
            self.stdout.write(
                f"{len(document.removed)} stored file(s) were discarded meanwhile: FL_UPDATE_RETENTION_DAYS"
            )
        for path in removed:
            self.stdout.write(f"removed {path}")
        self.stdout.write(f"manifest {made.sha256}")
        if document.is_complete:
            self.stdout.write(self.style.SUCCESS(f"backup {made.folder}"))
            return
        for digest in document.missing[:10]:
            self.stdout.write(self.style.ERROR(f"stored file {digest}: missing or damaged"))
        lost = len(document.missing)
        self.stdout.write(self.style.ERROR(f"INCOMPLETE {made.folder}: {lost} stored file(s) are not in it"))

    def _verify(self, options: dict[str, Any]) -> None:
        verified = verify_backup(
            options["dir"],
            clock=SystemClock(),
            sha256=options["sha256"],
            genesis=options["genesis"],
            checkpoints=held_checkpoints(options),
        )
        document = verified.manifest
        if options["json"]:
            self.stdout.write(json.dumps(_verified_document(verified)))
            return
        self.stdout.write(
            self.style.SUCCESS(
                f"holds: made {document.made_at}, {document.chain.blocks} block(s) up to {document.chain.head}, "
                f"{document.blobs} stored file(s)"
            )
        )
        if document.missing:
            lost = len(document.missing)
            self.stdout.write(self.style.WARNING(f"{lost} stored file(s) were lost before it was made"))


def _document(made: Made, removed: list[Path]) -> dict[str, Any]:
    return {
        "folder": str(made.folder),
        "manifest_sha256": made.sha256,
        "made_at": made.manifest.made_at,
        "blocks": made.manifest.chain.blocks,
        "last_block_hash": made.manifest.chain.head,
        "files": made.manifest.blobs,
        "linked": made.linked,
        "bytes": made.bytes,
        "missing": list(made.manifest.missing),
        "removed": [str(path) for path in removed],
    }


def _verified_document(verified: Verified) -> dict[str, Any]:
    return {
        "made_at": verified.manifest.made_at,
        "manifest_sha256": verified.sha256,
        "blocks": verified.manifest.chain.blocks,
        "last_block_hash": verified.manifest.chain.head,
        "files": verified.manifest.blobs,
        "missing": list(verified.manifest.missing),
        "unanchored": verified.chain.unanchored,
    }


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number

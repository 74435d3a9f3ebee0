"""Putting a backup back: nothing is touched before all of it was verified, and the database changes in one step.

The order makes a process that is killed harmless: stored files only ever add to what is there, keys are put where none
are, and the database, which says what all of it means, comes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.db.migrations.loader import MigrationLoader

import ledger.selectors
from flxdr.backup import files
from flxdr.backup.databases.configured import database
from flxdr.backup.errors import BackupInvalid, RestoreRefused
from flxdr.backup.making import KEYS
from flxdr.backup.verification import Verified, digests, verify_backup
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError
from flxdr.platform.audit import record_event
from flxdr.platform.identity import coordinator_keys
from flxdr.platform.storage.blobs import blobs
from flxdr.platform.storage.files import create_once, ensure_private_folder
from flxdr.supervisor import exclusive
from ledger.chain.anchoring import HeldCheckpoint
from ledger.services.verification import newest_height, verify_ledger

RESTORED = "backup.restored"
_log = structlog.get_logger("flxdr.backup")


@dataclass(frozen=True)
class Restored:
    """What is in place now.

    Attributes:
        aside: where what was there before is kept; None of an empty database.
        replaced_blocks: length of the chain that was there before; None if there was none or it could not be read.
        files: stored files that were put back; the others were there.
        unanchored: blocks that no checkpoint covers.
    """

    backup: Verified
    aside: Path | None
    replaced_blocks: int | None
    files: int
    unanchored: int
    warnings: tuple[str, ...]


def restore_backup(
    *,
    folder: Path,
    clock: Clock,
    replace: bool = False,
    sha256: str | None = None,
    genesis: str | None = None,
    checkpoints: Sequence[HeldCheckpoint] = (),
) -> Restored:
    """Put a backup in the place of the configured database, and its files and keys beside those that are there.

    Args:
        replace: also where the database is not empty; what was in it is kept in `FL_DATA_DIR/replaced`.
        sha256, genesis, checkpoints: as `verify_backup`.

    Raises:
        BackupInvalid: it does not verify. Nothing was touched, as with each of the following.
        RestoreRefused: the database is not empty, is in use, or is of another kind; or another key is in place.
        flxdr.supervisor.AlreadyRunning: a coordinator runs.
        OSError, flxdr.backup.errors.ToolFailed: a file cannot be written, or a program failed.
    """
    target = database()
    with exclusive(settings.FLXDR.data_dir / "run"):
        backup = verify_backup(folder, clock=clock, sha256=sha256, genesis=genesis, checkpoints=checkpoints)
        _require_fitting(backup)
        is_empty = target.is_empty()
        if not is_empty and not replace:
            raise RestoreRefused(
                "the database is not empty",
                expected="an empty database, as before the first start",
                action="--replace puts the backup in its place and keeps what was there in FL_DATA_DIR/replaced.",
            )
        _require_same_keys(folder, backup)
        replaced_blocks = None if is_empty else _blocks()
        with target.exclusive():
            put = _put_files(folder, backup)
            _put_keys(folder, backup)
            aside = None if is_empty else _new_folder(clock)
            target.put_back(folder / backup.manifest.dump, aside=aside)
        call_command("migrate", interactive=False, verbosity=0)
        report = verify_ledger(clock=clock, genesis=genesis, checkpoints=checkpoints)
        if report.first_bad is not None:
            raise BackupInvalid(
                f"the restored chain does not hold at height {report.first_bad.height} ({report.first_bad.code})",
                action="Use another backup: `verify_chain` says what is wrong with this one.",
            )
        _record(backup, clock)
    warnings = tuple(_warnings(backup))
    return Restored(backup, aside, replaced_blocks, put, report.unanchored, warnings)


def _require_fitting(backup: Verified) -> None:
    software, own = backup.manifest.software, database().name
    if software.database != own:
        raise RestoreRefused(
            f"the backup is of {software.database}, and this coordinator is configured for {own}",
            expected=f"a backup of {own}",
            action="Set or unset DATABASE_URL; a backup of one kind of database cannot be put into the other.",
        )
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    unknown = [f"{app}.{name}" for app, name in software.migrations.items() if (app, name) not in known]
    if unknown:
        raise RestoreRefused(
            f"the backup was made by another version of this software ({software.flxdr}): {', '.join(unknown)}",
            expected="migrations that this version knows",
            action="Restore it with the version that made it, or a newer one.",
        )


def _require_same_keys(folder: Path, backup: Verified) -> None:
    for source, target in _keys(folder, backup):
        if target.exists() and target.read_bytes() != source.read_bytes():
            raise RestoreRefused(
                f"{target} is another key than the backup's",
                expected="the same key, or none",
                action="Move it away if nothing was signed with it that counts.",
            )


def _keys(folder: Path, backup: Verified) -> list[tuple[Path, Path]]:
    names = [Path(name).name for name in backup.manifest.files if name.startswith(f"{KEYS}/")]
    return [(folder / KEYS / name, settings.FLXDR.data_dir / KEYS / name) for name in names]


def _put_keys(folder: Path, backup: Verified) -> None:
    for source, target in _keys(folder, backup):
        create_once(target, source.read_bytes)


def _put_files(folder: Path, backup: Verified) -> int:
    """Put back what the store lacks or holds damaged."""
    store, put = blobs(), 0
    for digest in digests(folder, backup.manifest):
        try:
            store.verify(digest)
        except FlxdrError:
            source = files.blob_path(folder, digest)
            store.put_stream(files.chunks_of(source), limit=source.stat().st_size)
            put += 1
    return put


def _new_folder(clock: Clock) -> Path:
    return ensure_private_folder(settings.FLXDR.data_dir / "replaced" / clock.now().strftime("%Y%m%dT%H%M%S.%fZ"))


def _blocks() -> int | None:
    try:
        return newest_height() + 1
    except (OperationalError, ProgrammingError):
        return None
    except Exception as error:  # noqa: BLE001 - a damaged database fails in any way, and is about to be replaced
        _log.warning("the database to be replaced cannot be read", reason=str(error))
        return None
    finally:
        connection.close()


def _record(backup: Verified, clock: Clock) -> None:
    with transaction.atomic():
        record_event(
            kind=RESTORED,
            actor="command",
            subject=backup.folder.name,
            data={"made_at": backup.manifest.made_at, "manifest_sha256": backup.sha256},
            clock=clock,
        )


def _warnings(backup: Verified) -> list[str]:
    warnings = []
    if backup.manifest.missing:
        warnings.append(f"{len(backup.manifest.missing)} stored file(s) were lost before the backup was made")
    env, folder = settings.FLXDR, settings.FLXDR.data_dir / KEYS
    recorded = ledger.selectors.coordinator_key_id()
    # Asking for the key of a folder that holds none would make one.
    held = env.pqc_sk_b64 is not None or any(folder.glob("coordinator_*"))
    if not held or recorded not in {key.public.key_id for key in coordinator_keys()}:
        warnings.append(
            "this coordinator's key is not the chain's: put back PQC_SK_B64, or the keys folder of FL_DATA_DIR, "
            "before the first start"
        )
    return warnings

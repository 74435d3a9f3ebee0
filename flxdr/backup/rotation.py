"""Keeping the newest backups and removing the others."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from flxdr.backup import manifest
from flxdr.backup.errors import BackupInvalid
from flxdr.backup.making import PARTIAL, alone, backups_in


def rotate(*, into: Path, keep: int) -> list[Path]:
    """Remove the oldest backups so that `keep` complete ones are left; what was removed.

    Incomplete ones go with the complete ones that are newer: they never take the place of a complete one.
    """
    with alone(into):
        every = backups_in(into)
        complete = [path for path in every if _is_complete(path)]
        if len(complete) <= keep:
            return []
        oldest_kept = complete[-keep]
        surplus = [path for path in every if path.name < oldest_kept.name]
        for path in surplus:
            dying = path.with_name(f"{PARTIAL}{path.name}")
            path.rename(dying)  # a process that is killed in between leaves nothing that looks like a backup
            with suppress(OSError):
                shutil.rmtree(dying)
        return surplus


def _is_complete(folder: Path) -> bool:
    try:
        return manifest.read(folder)[0].is_complete
    except BackupInvalid:
        return False

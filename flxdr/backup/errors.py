"""Why a backup is not made, not believed, or not put back."""

from __future__ import annotations

from flxdr.core.errors import Conflict, Invalid, Unavailable


class BackupInvalid(Invalid):
    """A folder that is no whole backup, or whose bytes are not those that were written."""

    code = "backup_invalid"
    title = "Invalid backup"


class BackupConflict(Conflict):
    """Another backup is being made in the folder."""

    code = "backup_conflict"
    title = "Another backup runs"


class RestoreRefused(Conflict):
    """What is there would be overwritten, is in use, or is of another kind than the backup."""

    code = "restore_refused"
    title = "Not restored"


class ToolFailed(Unavailable):
    """A program of the database that is missing or that failed."""

    code = "database_tool_failed"
    title = "A program of the database failed"

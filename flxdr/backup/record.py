"""What the audit trail says about backups: `manage.py backup` records each that it makes."""

from __future__ import annotations

from datetime import datetime, timedelta

from flxdr.platform.models import AuditEvent

MADE = "backup.made"
OLD = timedelta(days=2)
"""A nightly backup that failed once is not old yet; the alert FlxdrBackupOld says the same."""


def last_backup() -> AuditEvent | None:
    """The newest one, as far as this database knows."""
    return AuditEvent.objects.filter(kind=MADE).order_by("-id").first()


def is_old(backup: AuditEvent | None, now: datetime) -> bool:
    """Whether it is time for another: there is none, or it was made long ago."""
    return backup is None or now - backup.at > OLD

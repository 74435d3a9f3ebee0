"""One writer of the chain at a time."""

from __future__ import annotations

from django.db import connection, transaction

# Any constant will do as long as nothing else in the database locks it.
CHAIN_LOCK = 0x666C_7864_7201


def lock_chain() -> None:
    """Hold the chain until the caller's transaction ends.

    On PostgreSQL an advisory lock of the transaction; it may be taken again by its holder. On SQLite every transaction
    of this project starts IMMEDIATE, which already excludes every other writer. A transaction that also locks other
    rows takes this lock first, so that two of them cannot wait for each other.

    Raises:
        django.db.transaction.TransactionManagementError: outside of a transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("the chain can only be locked inside a transaction")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])

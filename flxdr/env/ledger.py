"""The ledger."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from flxdr.platform.configuration import choice, fraction, integer, matching, path, variable

GROUP = "Blockchain ledger"


@dataclass(frozen=True)
class Ledger:
    """The group *Blockchain ledger*."""

    blockchain_db_path: Path | None = variable(  # noqa: RUF009 - it makes a field
        "FL_BLOCKCHAIN_DB_PATH",
        path(),
        "",
        "SQLite database with the ledger; unset: `fl_blockchain.db` in `FL_DATA_DIR`. Not used with `DATABASE_URL`",
        group=GROUP,
    )
    blockchain_verification_method: str = variable(
        "FL_BLOCKCHAIN_VERIFICATION_METHOD",
        choice("multisig", "operator"),
        "multisig",
        "who approves a block: a quorum of organisations, or the operator. Read once, at genesis",
        group=GROUP,
    )
    blockchain_quorum: Fraction = variable(  # noqa: RUF009 - it makes a field
        "FL_BLOCKCHAIN_QUORUM",
        fraction(),
        "2/3",
        "more than this fraction of the voters must approve. Read once, at genesis",
        group=GROUP,
    )
    blockchain_quorum_min: int = variable(
        "FL_BLOCKCHAIN_QUORUM_MIN",
        integer(1, 1000),
        "2",
        "organisations that must approve at least. Read once, at genesis",
        group=GROUP,
    )
    blockchain_predecessor: str | None = variable(
        "FL_BLOCKCHAIN_PREDECESSOR",
        matching(r"[0-9a-f]{64}", "64 lower-case hex digits"),
        "",
        "genesis hash of the chain that this one replaces, where a quorum was lost for good. Read once, at genesis",
        group=GROUP,
    )
    approval_timeout: int = variable(
        "FL_APPROVAL_TIMEOUT", integer(1, 30 * 86400), "300", "seconds until a proposal lapses", group=GROUP
    )
    verify_interval: int = variable(
        "FL_VERIFY_INTERVAL",
        integer(60, 30 * 86400),
        "3600",
        "seconds between two verifications of the whole chain in the background",
        group=GROUP,
    )

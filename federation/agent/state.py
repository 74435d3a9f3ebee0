"""What the agent must never forget: one SQLite file in its home.

`pin` holds the genesis hash; `chain` the verifier's state after the newest verified block, and `block` the headers up
to it; `node` and `checkpoint` are the witness's (`state_tree`); `vote` every decision before it is sent; `round_update`
every update before it is submitted; `privacy_loss` every release of noise before it is drawn (`loss_ledger`);
`masked_round` and `masked_step` are those of masked rounds (`masking.book`). Each is committed (`synchronous=FULL`)
before the coordinator learns of it, so a crash forgets nothing that somebody else saw.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from federation.agent import state_tree, state_upgrade
from federation.agent.errors import HomeInvalid
from federation.agent.loss_ledger import LossLedger
from federation.agent.masking.book import MaskingBook
from federation.agent.state_rows import Outcome, PreparedUpdate, StoredBlock, Vote, block_of, update_of, vote_of
from federation.agent.state_tree import WitnessBook
from ledger.chain.state import ChainState

SCHEMA_VERSION = 3
_SCHEMA = """
CREATE TABLE pin (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE chain (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    height INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT;
CREATE TABLE block (
    height INTEGER PRIMARY KEY CHECK (height >= 0),
    block_hash TEXT NOT NULL UNIQUE,
    header BLOB NOT NULL,
    model_name TEXT,
    model_version INTEGER,
    model_hash TEXT
) STRICT;
CREATE INDEX block_of_model ON block (model_hash) WHERE model_hash IS NOT NULL;
CREATE TABLE vote (
    block_hash TEXT PRIMARY KEY,
    height INTEGER NOT NULL,
    proposal_id INTEGER NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'reject')),
    reason TEXT NOT NULL,
    signature BLOB NOT NULL,
    cast_at TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1)),
    void_because TEXT
) STRICT;
CREATE UNIQUE INDEX one_approval_per_height ON vote (height) WHERE decision = 'approve' AND void_because IS NULL;
CREATE TABLE round_update (
    round_id TEXT PRIMARY KEY,
    config BLOB NOT NULL,
    wire_digest TEXT NOT NULL,
    samples INTEGER NOT NULL CHECK (samples > 0),
    statement BLOB NOT NULL,
    signature BLOB NOT NULL,
    outcome TEXT NOT NULL DEFAULT 'prepared' CHECK (outcome IN ('prepared', 'accepted', 'refused')),
    detail TEXT NOT NULL DEFAULT ''
) STRICT;
"""

# A withdrawal names its model and the first version that is used no more, and carries no model itself.
_WITHDRAWAL = (
    "SELECT 1 FROM block AS later WHERE later.model_hash IS NULL AND later.model_name = block.model_name"
    " AND later.model_version <= block.model_version AND later.height > block.height"
)
_BLOCKS = (
    "SELECT height, block_hash, header, model_name, model_version, model_hash,"  # noqa: S608 - of constants alone
    f" EXISTS ({_WITHDRAWAL}) AS withdrawn FROM block"
)
MAX_HEIGHT = 2**53


class State:
    """The state file.

    Raises:
        HomeInvalid: the file is no state of this version, or the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._guard():
            self._db = sqlite3.connect(path, timeout=20, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
        with self.transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
            if version > SCHEMA_VERSION:
                raise HomeInvalid(f"{path} is of version {version}", expected=f"version {SCHEMA_VERSION}")
            if version < 2:
                state_upgrade.to_version_2(self._db)
            if version < 3:
                state_upgrade.to_version_3(self._db)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        path.chmod(0o600)
        self.witness = WitnessBook(self._db, self.transaction)
        self.losses = LossLedger(self._db, self.transaction)
        self.masking = MaskingBook(self._db, self.transaction)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else writes in between."""
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise HomeInvalid(
                f"{self._path} cannot be used: {error}", action="Check disk space and permissions of the agent's home."
            ) from error

    def pin(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM pin WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_pin(self, name: str, value: str) -> None:
        """Remember a value that never changes.

        Raises:
            HomeInvalid: another value is pinned already.
        """
        with self.transaction():
            self._db.execute("INSERT INTO pin VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
            held = self.pin(name)
            if held != value:
                raise HomeInvalid(
                    f"{name} is pinned to {held}, not {value}", action="Another chain needs another home."
                )

    def chain(self) -> ChainState | None:
        """The verifier's state after the newest block that this agent verified.

        Raises:
            Malformed: the remembered state was damaged.
        """
        row = self._db.execute("SELECT state FROM chain").fetchone()
        return None if row is None else ChainState.from_json(orjson.loads(row[0]))

    def extend_chain(self, before: ChainState | None, after: ChainState, blocks: Sequence[StoredBlock]) -> bool:
        """Remember verified blocks, if the chain still ends where the verification began.

        Returns:
            False if another process of this home has moved on meanwhile; nothing is written then.
        """
        with self.transaction():
            held = self._db.execute("SELECT height, block_hash FROM chain").fetchone()
            if held != (None if before is None else (before.height, before.block_hash)):
                return False
            self._db.executemany(
                "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?)",
                [(b.height, b.block_hash, b.header, b.model_name, b.model_version, b.model_hash) for b in blocks],
            )
            state_tree.grow(self._db, before.height + 1 if before else 0, (block.header for block in blocks))
            self._db.execute(
                "INSERT INTO chain VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET height = excluded.height, block_hash = excluded.block_hash, state = excluded.state",
                (after.height, after.block_hash, orjson.dumps(after.as_json()).decode()),
            )
            return True

    def block_hash(self, height: int) -> str | None:
        """The hash of the verified block at that height."""
        row = self._db.execute("SELECT block_hash FROM block WHERE height = ?", (height,)).fetchone()
        return None if row is None else str(row[0])

    def newest_release(self, model_name: str, *, below: int | None = None) -> StoredBlock | None:
        """The newest standing release of a model on the verified chain.

        Args:
            below: what stood when the chain had the blocks under that height; one that was withdrawn since says so.
        """
        height = MAX_HEIGHT if below is None else below
        query = (
            f"{_BLOCKS} WHERE model_name = ? AND model_hash IS NOT NULL AND height < ?"
            f" AND NOT EXISTS ({_WITHDRAWAL} AND later.height < ?) ORDER BY height DESC LIMIT 1"
        )
        return self._one_block(query, model_name, height, height)

    def release_version(self, model_name: str, version: int) -> StoredBlock | None:
        """One release of a model on the verified chain, withdrawn or not."""
        return self._one_block(f"{_BLOCKS} WHERE model_name = ? AND model_version = ?", model_name, version)

    def newest_version(self, model_name: str) -> int:
        """The number of a model's newest release, withdrawn or not; 0 before the first."""
        query = "SELECT MAX(model_version) FROM block WHERE model_name = ? AND model_hash IS NOT NULL"
        (newest,) = self._db.execute(query, (model_name,)).fetchone()
        return newest or 0

    def release_of(self, model_hash: str) -> StoredBlock | None:
        """The newest release of exactly that model; one that stands, if any does."""
        return self._one_block(f"{_BLOCKS} WHERE model_hash = ? ORDER BY withdrawn, height DESC LIMIT 1", model_hash)

    def _one_block(self, query: str, *values: str | int) -> StoredBlock | None:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else block_of(row)

    def vote_on(self, block_hash: str) -> Vote | None:
        return self._one_vote("block_hash = ?", block_hash)

    def approval_at(self, height: int) -> Vote | None:
        """The approval that binds this agent at `height`."""
        return self._one_vote("height = ? AND decision = 'approve' AND void_because IS NULL", height)

    def unsent_votes(self) -> list[Vote]:
        rows = self._db.execute("SELECT * FROM vote WHERE sent = 0 AND void_because IS NULL ORDER BY cast_at")
        return [vote_of(row) for row in rows.fetchall()]

    def _one_vote(self, where: str, value: str | int) -> Vote | None:
        row = self._db.execute(f"SELECT * FROM vote WHERE {where}", (value,)).fetchone()  # noqa: S608
        return None if row is None else vote_of(row)

    def cast_vote(self, vote: Vote) -> None:
        """Write a decision into the vote book.

        Raises:
            sqlite3.IntegrityError: this block has been decided on, or another block at its height is approved.
        """
        with self.transaction():
            self._db.execute(
                "INSERT INTO vote VALUES (?, ?, ?, ?, ?, ?, ?, 0, NULL)",
                (
                    vote.block_hash,
                    vote.height,
                    vote.proposal_id,
                    vote.decision,
                    vote.reason,
                    vote.signature,
                    vote.cast_at,
                ),
            )

    def mark_sent(self, block_hash: str) -> None:
        with self.transaction():
            self._db.execute("UPDATE vote SET sent = 1 WHERE block_hash = ?", (block_hash,))

    def close_votes(self, height: int) -> None:
        """Send no votes any more on blocks up to `height`, which are sealed: the key that signed them is retired."""
        with self.transaction():
            self._db.execute("UPDATE vote SET sent = 1 WHERE height <= ?", (height,))

    def void_vote(self, block_hash: str, because: str) -> None:
        """Let go of an approval whose block can no longer be sealed; the row stays as a record."""
        with self.transaction():
            self._db.execute("UPDATE vote SET void_because = ? WHERE block_hash = ?", (because, block_hash))

    def update_for(self, round_id: str) -> PreparedUpdate | None:
        row = self._db.execute("SELECT * FROM round_update WHERE round_id = ?", (round_id,)).fetchone()
        return None if row is None else update_of(row)

    def newest_update(self) -> PreparedUpdate | None:
        """The update of the newest round that this agent trained for."""
        row = self._db.execute("SELECT * FROM round_update ORDER BY rowid DESC LIMIT 1").fetchone()
        return None if row is None else update_of(row)

    def unfinished_updates(self) -> list[PreparedUpdate]:
        rows = self._db.execute("SELECT * FROM round_update WHERE outcome = 'prepared' ORDER BY rowid")
        return [update_of(row) for row in rows.fetchall()]

    def prepare_update(self, update: PreparedUpdate) -> None:
        """Remember an update before it is sent.

        Raises:
            sqlite3.IntegrityError: an update for this round exists; that one is to be sent.
        """
        with self.transaction():
            self._db.execute(
                "INSERT INTO round_update (round_id, config, wire_digest, samples, statement, signature)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    update.round_id,
                    update.config,
                    update.wire_digest,
                    update.samples,
                    update.statement,
                    update.signature,
                ),
            )

    def finish_update(self, round_id: str, outcome: Outcome, detail: str) -> None:
        with self.transaction():
            self._db.execute(
                "UPDATE round_update SET outcome = ?, detail = ? WHERE round_id = ?", (outcome, detail, round_id)
            )

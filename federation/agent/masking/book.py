"""The part of the state file that masked rounds need: what is masked, the one secret of the round, and what was said.

`masked_round` holds the trained update and the seed from which every secret of the round is derived, from before the
round is joined until its sum is unmasked; then both are overwritten. `private_key` is the Paillier key that it made, or
was given, until the model's next round. `masked_step` holds what this agent was told at
each step, or answered: written once, so that it never answers two stories of one round.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import orjson

from federation.agent.errors import CheckFailed

SCHEMA = (
    """
    CREATE TABLE masked_round (
        round_id TEXT PRIMARY KEY,
        model_name TEXT NOT NULL,
        statement BLOB NOT NULL,
        metrics TEXT NOT NULL,
        samples INTEGER NOT NULL CHECK (samples > 0),
        seed BLOB CHECK (length(seed) = 32),
        delta BLOB,
        private_key BLOB
    ) STRICT
    """,
    """
    CREATE TABLE masked_step (
        round_id TEXT NOT NULL REFERENCES masked_round (round_id),
        step TEXT NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (round_id, step)
    ) STRICT
    """,
)


@dataclass(frozen=True)
class JoinedRound:
    """A round that this organisation has joined, or is about to.

    Attributes:
        statement: the advertisement's canonical bytes.
        delta: the trained update as a canonical tensor file.
    """

    round_id: str
    model_name: str
    statement: bytes
    metrics: dict[str, float]
    samples: int
    seed: bytes
    delta: bytes


class MaskingBook:
    """Masked rounds in the state file."""

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db = db
        self._transaction = transaction

    def join(self, joined: JoinedRound) -> None:
        """Remember a round before its advertisement is sent; secrets of the model's earlier rounds are overwritten.

        Raises:
            sqlite3.IntegrityError: the round has been joined.
        """
        with self._transaction():
            self._db.execute(
                "UPDATE masked_round SET seed = NULL, delta = NULL, private_key = NULL WHERE model_name = ?",
                (joined.model_name,),
            )
            self._db.execute(
                "INSERT INTO masked_round VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    joined.round_id,
                    joined.model_name,
                    joined.statement,
                    orjson.dumps(joined.metrics).decode(),
                    joined.samples,
                    joined.seed,
                    joined.delta,
                ),
            )
        self._clear_log()

    def joined(self, round_id: str) -> JoinedRound | None:
        """The round, while its secrets are kept."""
        row = self._db.execute(
            "SELECT round_id, model_name, statement, metrics, samples, seed, delta FROM masked_round"
            " WHERE round_id = ? AND seed IS NOT NULL",
            (round_id,),
        ).fetchone()
        if row is None:
            return None
        round_id, model_name, statement, metrics, samples, seed, delta = row
        return JoinedRound(round_id, model_name, statement, orjson.loads(metrics), samples, seed, delta)

    def hold_key(self, round_id: str, private_key: bytes) -> None:
        """Keep the private key of a Paillier round."""
        with self._transaction():
            self._db.execute("UPDATE masked_round SET private_key = ? WHERE round_id = ?", (private_key, round_id))

    def private_key(self, round_id: str) -> bytes | None:
        """The private key of a Paillier round, if this organisation holds it."""
        row = self._db.execute("SELECT private_key FROM masked_round WHERE round_id = ?", (round_id,)).fetchone()
        return None if row is None else row[0]

    def has_left(self, round_id: str) -> bool:
        """Whether the round was joined and its secrets are overwritten."""
        (left,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM masked_round WHERE round_id = ? AND seed IS NULL)", (round_id,)
        ).fetchone()
        return bool(left)

    def tell(self, round_id: str, step: str, document: bytes) -> None:
        """Remember what a step is about; the same again changes nothing.

        Raises:
            CheckFailed: this agent was told, or answered, something else before.
        """
        with self._transaction():
            self._db.execute(
                "INSERT INTO masked_step VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (round_id, step, document)
            )
        if self.told(round_id, step) != document:
            raise CheckFailed(
                f"the coordinator tells another story of the step {step} of {round_id} than before",
                expected="what it told this agent the first time",
            )

    def told(self, round_id: str, step: str) -> bytes | None:
        row = self._db.execute(
            "SELECT document FROM masked_step WHERE round_id = ? AND step = ?", (round_id, step)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def forget(self, round_id: str) -> None:
        """Overwrite the round's secrets and its update."""
        with self._transaction():
            self._db.execute("UPDATE masked_round SET seed = NULL, delta = NULL WHERE round_id = ?", (round_id,))
        self._clear_log()

    def _clear_log(self) -> None:
        """SQLite blanks what is overwritten, but its write-ahead log still holds what was there."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

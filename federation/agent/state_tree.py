"""The witness's part of the state file: the tree over the verified headers, and the checkpoint that is held.

`node` holds the complete subtrees of the verified chain, as `ledger.chain.tree` numbers them; `checkpoint` the newest
one that this agent compared with its own tree, and its cosignature, written before the coordinator gets it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import orjson

from ledger.chain.tree import Frontier, Span, hashes_of, positions_of, stored_nodes, whole

SCHEMA = (
    "CREATE TABLE node (position INTEGER PRIMARY KEY CHECK (position >= 0), hash BLOB NOT NULL) STRICT",
    """
    CREATE TABLE checkpoint (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        size INTEGER NOT NULL,
        root BLOB NOT NULL,
        document TEXT NOT NULL,
        cosignature TEXT,
        sent INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1)),
        cosigned_size INTEGER NOT NULL DEFAULT 0,
        cosigned_by TEXT NOT NULL DEFAULT '[]'
    ) STRICT
    """,
)


@dataclass(frozen=True)
class Held:
    """The checkpoint that this agent holds.

    `document` is its JSON form as the coordinator answered; `cosignature` this witness's line, if the organisation was
    a member; `cosigned_size` and `cosigned_by` the newest checkpoint with the cosignatures of others, and of whom.
    """

    size: int
    root: bytes
    document: bytes
    cosignature: str | None
    sent: bool = False
    cosigned_size: int = 0
    cosigned_by: tuple[str, ...] = ()


def grow(db: sqlite3.Connection, size: int, headers: Iterable[bytes]) -> None:
    """Add leaves to the stored tree of `size` ones, inside the caller's transaction."""
    frontier = Frontier.from_nodes(size, _nodes(db, whole(size)))
    for header in headers:
        first = stored_nodes(frontier.size)
        db.executemany("INSERT INTO node VALUES (?, ?)", list(enumerate(frontier.append(header), start=first)))


class WitnessBook:
    """What the witness remembers, in a state file that is open already."""

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db = db
        self._transaction = transaction

    def root(self, size: int) -> bytes:
        """The tree head of the first `size` verified blocks.

        Raises:
            KeyError: fewer are verified.
        """
        spans = whole(size)
        (root,) = hashes_of(spans, _nodes(self._db, spans))
        return root

    def held(self) -> Held | None:
        """The newest checkpoint that this agent compared with its tree."""
        row = self._db.execute(
            "SELECT size, root, document, cosignature, sent, cosigned_size, cosigned_by FROM checkpoint"
        ).fetchone()
        if row is None:
            return None
        size, root, document, cosignature, sent, cosigned_size, cosigned_by = row
        return Held(
            size, root, document.encode(), cosignature, bool(sent), cosigned_size, tuple(orjson.loads(cosigned_by))
        )

    def hold(self, held: Held) -> Held:
        """Remember a checkpoint, if it is larger than the one that is held; the one that is held then."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO checkpoint (one, size, root, document, cosignature) VALUES (1, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET size = excluded.size, root = excluded.root, document = excluded.document,"
                " cosignature = excluded.cosignature, sent = 0 WHERE excluded.size > checkpoint.size",
                (held.size, held.root, held.document.decode(), held.cosignature),
            )
            now = self.held()
        assert now is not None
        return now

    def mark_sent(self, size: int) -> None:
        with self._transaction():
            self._db.execute("UPDATE checkpoint SET sent = 1 WHERE size = ?", (size,))

    def note_cosigned(self, size: int, org_ids: Sequence[str], document: bytes) -> None:
        """Remember whose cosignatures were found to hold on which checkpoint, and keep its form if it is held."""
        with self._transaction():
            self._db.execute(
                "UPDATE checkpoint SET cosigned_size = ?, cosigned_by = ? WHERE cosigned_size <= ?",
                (size, orjson.dumps(sorted(org_ids)).decode(), size),
            )
            self._db.execute("UPDATE checkpoint SET document = ? WHERE size = ?", (document.decode(), size))


def _nodes(db: sqlite3.Connection, spans: Iterable[Span]) -> dict[int, bytes]:
    nodes = {}
    for position in positions_of(spans):
        row = db.execute("SELECT hash FROM node WHERE position = ?", (position,)).fetchone()
        if row is not None:
            nodes[position] = row[0]
    return nodes

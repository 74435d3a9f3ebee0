"""State files that an earlier version of the agent wrote, brought to the present form in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson

from federation.agent import loss_ledger, state_tree
from federation.agent.masking import book
from ledger.chain.block import parse_header
from ledger.chain.lineage import Lineage, Release, extended
from ledger.chain.state import VERSION


def to_version_2(db: sqlite3.Connection) -> None:
    """Grow the tree over the verified headers, and remember the chain as verifiers do since there is governance."""
    for statement in state_tree.SCHEMA:
        db.execute(statement)
    state_tree.grow(db, 0, _headers(db))
    row = db.execute("SELECT state FROM chain").fetchone()
    if row is not None and (document := orjson.loads(row[0])).get("v") == 1:
        # On a chain of that version no key could be retired and no release withdrawn.
        document |= {"v": VERSION, "retired": [], "releases": _releases(db)}
        db.execute("UPDATE chain SET state = ?", (orjson.dumps(document).decode(),))


def to_version_3(db: sqlite3.Connection) -> None:
    """Open the account of privacy and the book of masked rounds; no earlier agent drew noise or masked."""
    for statement in (*loss_ledger.SCHEMA, *book.SCHEMA):
        db.execute(statement)


def _headers(db: sqlite3.Connection) -> Iterator[bytes]:
    return (header for (header,) in db.execute("SELECT header FROM block ORDER BY height"))


def _releases(db: sqlite3.Connection) -> dict[str, Any]:
    lineages: dict[str, Lineage] = {}
    for header in map(parse_header, _headers(db)):
        provenance = header.provenance
        if provenance is not None and header.model_hash is not None:
            name = provenance.model_name
            release = Release(provenance.model_version, header.model_hash, provenance.round_number)
            lineages[name] = extended(lineages.get(name), release)
    return {name: lineage.as_json() for name, lineage in lineages.items()}

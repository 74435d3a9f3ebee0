"""A chain of its own for every test that touches the database."""

from __future__ import annotations

import pytest
from django.db import connection

from flxdr.core.clock import ManualClock
from ledger.services import listeners
from ledger.services.genesis import ensure_genesis
from tests.ledger.members import Consortium

TABLES = (
    "approvals",
    "late_approvals",
    "blocks",
    "tree_nodes",
    "release_statements",
    "governance_entries",
    "cosignatures",
    "witness_keys",
    "ledger_signerkey",
    "ledger_proposal",
    "verification_passes",
)


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger alone: what the federation does when a block is sealed is the federation's to test."""
    monkeypatch.setattr(listeners, "_listeners", [])


@pytest.fixture
def empty_ledger(db: None) -> None:
    """No genesis: the one of the migrations is signed by another test's coordinator."""
    on_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for statement in [f"TRUNCATE {', '.join(TABLES)}"] if on_postgresql else [f"DELETE FROM {t}" for t in TABLES]:
            cursor.execute(statement)


@pytest.fixture
def consortium(empty_ledger: None, clock: ManualClock) -> Consortium:
    """A chain with a genesis block and nothing else."""
    ensure_genesis(clock=clock)
    return Consortium(clock)

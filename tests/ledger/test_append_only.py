"""Blocks and approvals are written once: by the models, and by the database for whoever goes around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from ledger import selectors
from ledger.errors import AppendOnlyRow
from ledger.models import Approval, Block, Cosignature, LateApproval, ReleaseStatement, TreeNode, WitnessKey
from tests.ledger.chains import hash_of
from tests.ledger.members import Consortium

_COLUMN = {
    "blocks": "block_hash",
    "approvals": "block_hash",
    "late_approvals": "block_hash",
    "tree_nodes": "hash",
    "witness_keys": "statement",
    "cosignatures": "signature",
    "release_statements": "payload",
}
MODELS: list[Any] = [Block, Approval, LateApproval, TreeNode, WitnessKey, Cosignature, ReleaseStatement]


@pytest.fixture
def one_row_each(consortium: Consortium) -> Consortium:
    LateApproval.objects.create(block_hash=hash_of("a"), org_id="org-a", key_id=hash_of("b"), signature=b"")
    key = WitnessKey.objects.create(org_id="org-a", verifier_key="x", key_id=hash_of("b"), statement=b"", signature=b"")
    Cosignature.objects.create(size=1, org_id="org-a", witness=key, signature=b"")
    ReleaseStatement.objects.create(height=1, org_id="org-a", key_id=hash_of("b"), payload=b"", signature=b"")
    return consortium


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.objects.get().save(),
        lambda model: model.objects.get().delete(),
        lambda model: model.objects.update(),
        lambda model: model.objects.filter(pk__gte=0).update(pk=9),
        lambda model: model.objects.all().delete(),
        lambda model: model.objects.bulk_update([model.objects.get()], [_COLUMN[model._meta.db_table]]),
    ],
    ids=["save", "delete", "update", "filtered update", "delete all", "bulk update"],
)
def test_models_refuse(one_row_each: Consortium, model: Any, change: Callable[[Any], None]) -> None:
    before = list(model.objects.values())
    with pytest.raises(AppendOnlyRow), transaction.atomic():
        change(model)
    assert list(model.objects.values()) == before


@pytest.mark.parametrize("table", _COLUMN)
def test_the_database_refuses(one_row_each: Consortium, table: str) -> None:
    statements = [f"UPDATE {table} SET {_COLUMN[table]} = {_COLUMN[table]}"]
    if connection.vendor == "postgresql":  # the migration says why SQLite cannot
        statements.append(f"DELETE FROM {table}")
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert selectors.head().height == 0


def _copy(block: Block, **changes: Any) -> Block:
    fields = {field.attname: getattr(block, field.attname) for field in Block._meta.concrete_fields}
    return Block(**{**fields, "height": 9, "block_hash": hash_of("a"), "prev_hash": hash_of("b"), **changes})


@pytest.mark.parametrize(
    "same",
    [
        ["height"],
        ["block_hash"],
        ["prev_hash"],
        ["round_id"],
        ["model_name", "model_version"],
    ],
)
def test_what_is_unique(consortium: Consortium, same: list[str]) -> None:
    consortium.admit("org-a")
    consortium.release(1, ["org-a"])
    block = selectors.head()
    different = {"round_id": "round-9", "model_version": 9}
    changes = {name: value for name, value in different.items() if name not in same}
    changes |= {name: getattr(block, name) for name in same}
    with pytest.raises(IntegrityError), transaction.atomic():
        _copy(block, **changes).save()
    _copy(block, **different).save()


@pytest.mark.parametrize("changes", [{"model_hash": None}, {"type": "governance"}, {"round_id": None}])
def test_only_releases_carry_a_model(consortium: Consortium, changes: dict[str, Any]) -> None:
    consortium.admit("org-a")
    consortium.release(1, ["org-a"])
    with pytest.raises(IntegrityError), transaction.atomic():
        _copy(selectors.head(), **{"round_id": "round-9", "model_version": 9, **changes}).save()


def test_one_answer_per_organization_is_the_databases_rule(consortium: Consortium) -> None:
    approval = Approval.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(
            block_hash=approval.block_hash, org_id=approval.org_id, key_id="x", signature=b"", verdict="reject"
        )

"""A database as the first migrations made it, with rows in it, and what has to be true of it after the last.

Run as a program on the database that the environment names: `python -m tests.deploy.upgrading fill|back|check|index`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from flxdr.core.clock import format_timestamp
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain import merkle
from ledger.chain.block import ZERO_HASH, Governance, Header
from ledger.chain.entries import Found, PolicyEntry
from ledger.chain.membership import key_entry

FIRST = ("federation", "ledger", "platform", "privacy")
BLOCKS = 2**11  # a whole tree, whose last node is its root, of more than one batch of the migration that grows it
NEW_INDEX = "audit_of_a_later_version"
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def header(height: int) -> bytes:
    """Genesis is a real one, because later migrations read it; of releases they read only the columns."""
    return genesis() if height == 0 else b"header of block %d" % height


@cache
def genesis() -> bytes:
    policy = PolicyEntry(method="multisig", numerator=2, denominator=3, minimum=2)
    key = PrivateKey(Algorithm.ED25519, bytes(32)).public
    found = Found(coordinator=key_entry(key), policy=policy, predecessor=None)
    return Header(
        v=1, type="genesis", chain_id=ZERO_HASH, height=0, timestamp=format_timestamp(THEN), prev_hash=ZERO_HASH,
        prev_cert=ZERO_HASH, model_hash=None, provenance=None,
        governance=Governance(rule="genesis", voters=(), threshold=0, actions=(found,)),
    ).encode()  # fmt: skip


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fill(apps: Any) -> None:
    """Rows of every table that the first migrations made."""
    model = apps.get_model
    campaign = model("federation", "Campaign").objects.create(model_name="m", rounds_total=3, parameters={})
    organization = model("federation", "Organization").objects.create(
        org_id="org-a", name="A", status="active", key_status="proven", public_key=b"key"
    )
    completed = model("federation", "TrainingRound").objects.create(
        round_id="round-1", number=1, model_name="m", status="completed", config=b"{}", config_hash=hash_of("c"),
        aggregation_method="FedAvg", protection="plain", min_orgs=1, deadline=THEN, campaign=campaign,
    )  # fmt: skip
    parts = {"training_round": completed, "organization": organization}
    model("federation", "Participant").objects.create(**parts, status="submitted", distance=1.5)
    model("federation", "Submission").objects.create(
        **parts, gradient_id="grad-1", wire_digest=hash_of("w"), update_digest=hash_of("u"), kind="delta", samples=7
    )
    model("federation", "ModelVersion").objects.create(
        model_name="m", version=1, model_hash=hash_of("m"), status="released", block_height=1, training_round=completed,
        schema={},
    )  # fmt: skip
    model("federation", "EnrolmentToken").objects.create(org_id="org-b", digest=hash_of("t"), expires_at=THEN)
    _fill_ledger(model)
    account = model("privacy", "BudgetAccount").objects.create(org_id="org-a")
    entry = model("privacy", "BudgetEntry").objects
    entry.create(
        account=account, round_id="round-1", kind="reserved", mechanism="gaussian", sensitivity_ppm=1, sigma_ppm=2,
        delta_ppt=3, recorded_at=THEN,
    )  # fmt: skip
    entry.create(account=account, round_id="round-2", kind="unprotected", mechanism="none", recorded_at=THEN)
    event = model("platform", "AuditEvent")
    event.objects.bulk_create(event(kind="round.started", actor="kim", subject="round-1", at=THEN) for _ in range(500))
    model("platform", "OutboxEvent").objects.create(event=event.objects.earliest("id"))
    model("platform", "UsedToken").objects.create(issuer="org-a", jti="1", expires_at=THEN)


def _fill_ledger(model: Any) -> None:
    block = model("ledger", "Block")
    block.objects.create(height=0, type="genesis", **_block(0))
    block.objects.bulk_create(
        block(height=height, type="release", model_hash=hash_of("m"), model_name="m", round_id=f"r-{height}",
              model_version=height, **_block(height))
        for height in range(1, BLOCKS)
    )  # fmt: skip
    model("ledger", "Approval").objects.create(
        block_hash=hash_of("block 1"), org_id="org-a", key_id="k", signature=b"s"
    )
    model("ledger", "SignerKey").objects.create(
        key_id="k", org_id="org-a", org_name="A", algorithm="ed25519", spki=b"key", admitted_height=1
    )
    model("ledger", "Proposal").objects.create(
        type="governance", status="rejected", content={}, content_hash=hash_of("p"), key_id="k2", ended_at=THEN
    )


def _block(height: int) -> dict[str, Any]:
    hashes = {"block_hash": hash_of(f"block {height}"), "prev_hash": hash_of(f"block {height - 1}")}
    return {"timestamp": THEN, "header": header(height), **hashes}


def check() -> Iterator[str]:
    """What does not hold of the rows that `fill` made; nothing if the upgrade kept them."""
    from django.db import DatabaseError, connection, transaction  # noqa: PLC0415 - only where it runs as a program

    from federation.models import ModelVersion, Organization, Participant, Submission, TrainingRound  # noqa: PLC0415
    from flxdr.platform.models import AuditEvent, OutboxEvent  # noqa: PLC0415
    from ledger.models import Approval, Block, Proposal, SignerKey, TreeNode  # noqa: PLC0415
    from privacy.models import BudgetEntry  # noqa: PLC0415

    kept = {Organization: 1, TrainingRound: 1, Participant: 1, Submission: 1, ModelVersion: 1, Approval: 1, Proposal: 1,
            SignerKey: 1, Block: BLOCKS, AuditEvent: 500, OutboxEvent: 1, BudgetEntry: 2}  # fmt: skip
    for model, count in kept.items():
        if (found := model._default_manager.count()) != count:
            yield f"{found} rows of {model.__name__}, not {count}"
    organization, reserved = Organization.objects.get(), BudgetEntry.objects.get(kind="reserved")
    if (organization.rejected_count, reserved.steps, reserved.sampling_ppm) != (0, 1, 1_000_000):
        yield "new columns have other values than their defaults"
    if bytes(TreeNode.objects.latest("position").hash) != merkle.root([header(height) for height in range(BLOCKS)]):
        yield "the tree is not that of the blocks"
    # SQLite makes a table anew where a column changes, and loses its triggers with the old one.
    for table, column in (("blocks", "type"), ("approvals", "reason"), ("tree_nodes", "position"),
                          ("platform_auditevent", "subject"), ("privacy_budgetentry", "round_id")):  # fmt: skip
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f'UPDATE "{table}" SET "{column}" = "{column}"')
            yield f"{table} is not append-only"
        except DatabaseError as error:
            if "append-only" not in str(error):
                yield f"{table}: {error}"


def index() -> None:
    """Build an index on the largest table, as a migration of a later version would."""
    from django.db import connection, models  # noqa: PLC0415
    from django.db.migrations.loader import MigrationLoader  # noqa: PLC0415

    from flxdr.platform.operations import AddIndexConcurrently  # noqa: PLC0415

    before = MigrationLoader(connection).project_state()
    after = before.clone()
    operation = AddIndexConcurrently("auditevent", models.Index(fields=["subject", "kind"], name=NEW_INDEX))
    operation.state_forwards("platform", after)
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("platform", editor, before, after)


def main(what: str) -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django.db import connection  # noqa: PLC0415
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415

    first = [(app, "0001_initial") for app in FIRST]
    if what == "fill":
        fill(MigrationExecutor(connection).migrate(first).apps)
    elif what == "back":
        MigrationExecutor(connection).migrate(first)
    elif what == "index":
        index()
    else:
        sys.exit("\n".join(check()) or 0)


if __name__ == "__main__":
    main(sys.argv[1])

"""One block looked at now: what holds of it, signature by signature and statement by statement."""

from __future__ import annotations

from typing import Any

import pytest

from flxdr.core.keys import Algorithm, PrivateKey
from ledger import selectors
from ledger.chain.statement import sign_statement, statement_of
from ledger.errors import BlockMissing
from ledger.models import ReleaseStatement
from ledger.services.inspection import Inspection, inspect_block
from ledger.services.statements import record_statement
from tests.ledger.attested import own_part, release_of
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium, tamper

MEMBERS = ["org-a", "org-b", "org-c"]


@pytest.fixture
def sealed(consortium: Consortium) -> Consortium:
    """genesis, three admissions, a release at height 4"""
    consortium.admit(*MEMBERS)
    consortium.release(1, MEMBERS, submissions_root=release_of(MEMBERS).submissions_root)
    return consortium


def attest(consortium: Consortium, org_id: str, *, key: PrivateKey | None = None) -> None:
    header = bytes(selectors.block_at(4).header)
    made = statement_of(header, own_part(org_id, MEMBERS), chain_id=selectors.chain_id())
    envelope = sign_statement(made, key or key_of(org_id))
    record_statement(height=4, org_id=org_id, envelope=envelope, clock=consortium.clock)


def failures(seen: Inspection) -> set[str]:
    signatures = {each.code for each in seen.signatures if not each.holds}
    return signatures | {check.code for check in seen.checks if not check.holds}


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("height", range(5))
def test_every_block_of_a_good_chain_holds(height: int) -> None:
    seen = inspect_block(height=height)
    assert seen.holds
    assert failures(seen) == set()
    assert seen.inclusion is not None
    assert seen.inclusion.size == 5
    assert len(seen.checks) == 7


@pytest.mark.usefixtures("sealed")
def test_no_block() -> None:
    with pytest.raises(BlockMissing):
        inspect_block(height=5)


def test_keys_are_judged_at_the_block_s_height(sealed: Consortium) -> None:
    sealed.rotate("org-b", PrivateKey.generate(Algorithm.ED25519))
    sealed.seal(sealed.propose_revocation("org-c"))
    for height in range(7):
        assert inspect_block(height=height).holds, height


@pytest.mark.usefixtures("sealed")
def test_a_key_counts_only_above_the_block_that_admitted_it() -> None:
    tamper("UPDATE ledger_signerkey SET admitted_height = 4 WHERE org_id = 'org-a'")
    assert failures(inspect_block(height=4)) == {"approval_key", "quorum_not_met"}


@pytest.mark.usefixtures("sealed")
def test_a_key_counts_not_above_the_block_that_retired_it() -> None:
    tamper("UPDATE ledger_signerkey SET revoked_height = 3 WHERE org_id = 'org-a'")
    assert failures(inspect_block(height=4)) == {"approval_key", "quorum_not_met"}
    assert inspect_block(height=3).holds


@pytest.mark.usefixtures("sealed")
def test_genesis_is_signed_with_the_key_that_it_declares() -> None:
    tamper("UPDATE approvals SET key_id = %s WHERE block_hash = %s", "ab" * 32, selectors.chain_id())
    assert failures(inspect_block(height=0)) == {"approval_key", "coordinator_missing"}


def test_statements_are_checked_against_the_block(sealed: Consortium) -> None:
    attest(sealed, "org-a")
    attest(sealed, "org-b")
    first, second = inspect_block(height=4).attestations
    assert first.statement is not None
    assert first.statement.predicate.organization.org_id == "org-a"
    assert (first.before, first.after) == (0.91, 0.93)
    assert (second.row.org_id, second.code) == ("org-b", "")


def test_a_statement_by_a_key_that_came_later_counts(sealed: Consortium) -> None:
    key = PrivateKey.generate(Algorithm.ED25519)
    sealed.rotate("org-a", key)
    attest(sealed, "org-a", key=key)
    (found,) = inspect_block(height=4).attestations
    assert found.code == ""


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("signature", b"\0" * 64, "invalid_signature"),
        ("payload", b"{}", "header_malformed"),
        ("key_id", "cd" * 32, "statement_invalid"),
    ],
)
def test_a_tampered_statement_says_what_is_wrong(sealed: Consortium, column: str, value: Any, code: str) -> None:
    attest(sealed, "org-a")
    table = ReleaseStatement._meta.db_table
    tamper(f"UPDATE {table} SET {column} = %s", value)
    seen = inspect_block(height=4)
    (found,) = seen.attestations
    assert (found.statement, found.code) == (None, code)
    assert found.detail
    assert seen.holds  # a statement is no part of the block

"""Admissions: a key joins with its owner's proof, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from flxdr.core import dsse
from ledger import selectors
from ledger.chain.failures import BlockInvalid
from ledger.errors import ProposalConflict
from ledger.models import Proposal
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium, statement_for

TWO = ["org-a", "org-b"]


@pytest.fixture
def two(consortium: Consortium) -> Consortium:
    consortium.admit(*TWO)
    return consortium


def statuses() -> list[str]:
    return list(Proposal.objects.order_by("id").values_list("status", flat=True))


def test_a_key_belongs_to_one_organization(two: Consortium) -> None:
    two.propose_admission("org-c")
    key = key_of("org-c")
    with pytest.raises(ProposalConflict):
        two.propose_admission("org-d", key=key)


@pytest.mark.parametrize(
    ("options", "check"),
    [
        ({"proof": bytes(64)}, "admission_signature"),
        ({"endorsement": ("0" * 64, b"x")}, "admission_endorsement"),
    ],
)
def test_an_admission_is_proven(two: Consortium, options: dict[str, Any], check: str) -> None:
    with pytest.raises(BlockInvalid) as refused:
        two.propose_admission("org-c", **options)
    assert refused.value.check == check
    assert len(statuses()) == 2


@pytest.mark.parametrize("changes", [{"org_id": "org-x"}, {"key_id": "0" * 64}, {"chain_id": "0" * 64}])
def test_an_admissions_statement_is_about_it(two: Consortium, changes: dict[str, str]) -> None:
    statement = statement_for("org-c", key_of("org-c"), **changes)
    with pytest.raises(BlockInvalid) as refused:
        two.propose_admission("org-c", statement=statement)
    assert refused.value.check == "admission_statement"


def test_nobody_adds_a_key_to_a_member_without_it(two: Consortium) -> None:
    intruder = key_of("intruder")
    statement = statement_for("org-a", intruder)
    by_other = (key_of("org-b").public.key_id, dsse.sign(key_of("org-b"), dsse.REGISTRATION_TYPE, statement))
    for endorsement in (None, by_other):
        with pytest.raises(BlockInvalid):
            two.propose_admission("org-a", key=intruder, statement=statement, endorsement=endorsement)


def test_two_admissions_of_one_newcomer_do_not_both_pass(two: Consortium) -> None:
    """The second is proven as a newcomer's and no longer holds once the first is sealed."""
    first = two.propose_admission("org-c")
    second = two.propose_admission("org-c", key=key_of("org-c second"))
    two.seal(first)
    second.refresh_from_db()
    assert second.status == "withdrawn"
    assert second.end_reason.startswith("no longer extends the chain: admission_endorsement")
    assert selectors.head().height == 3

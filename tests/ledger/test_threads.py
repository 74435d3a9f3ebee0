"""Threads that answer one proposal at once, in this process's database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from django.db import connection

from ledger import selectors
from ledger.models import Approval, Block, Proposal
from ledger.services.verification import verify_ledger
from tests.ledger.members import Consortium

FIVE = ["org-a", "org-b", "org-c", "org-d", "org-e"]


def at_once(actions: Sequence[Callable[[], object]]) -> list[Exception]:
    """Run all of them from one starting line; what they raised."""
    line = threading.Barrier(len(actions))
    raised: list[Exception] = []

    def run(action: Callable[[], object]) -> None:
        try:
            line.wait(timeout=10)
            action()
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return raised


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("sent_tasks")
def test_votes_at_once_seal_once(consortium: Consortium) -> None:
    consortium.admit(*FIVE)
    proposal = consortium.propose_release(1, FIVE)
    votes = [partial(consortium.approve, proposal, org_id) for org_id in FIVE[:4]]
    assert at_once([*votes, *[partial(consortium.countersign, proposal)] * 3]) == []
    assert selectors.proposal_by_id(proposal.pk).status == Proposal.Status.SEALED
    assert Block.objects.count() == 7
    assert Approval.objects.filter(block_hash=proposal.block_hash).count() == 5
    assert verify_ledger(clock=consortium.clock).chain_valid


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("sent_tasks")
def test_proposals_at_once_open_one(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    names = [f"new-{number}" for number in range(6)]
    proposed = [partial(consortium.propose_admission, name) for name in names]
    assert at_once(proposed) == []
    statuses = list(Proposal.objects.filter(org_id__in=names).values_list("status", flat=True))
    assert sorted(statuses) == ["open", *["queued"] * 5]

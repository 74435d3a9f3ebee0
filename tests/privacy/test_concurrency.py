"""Two rounds and one slot of budget, in real transactions on the database that the tests run on."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from flxdr.core.clock import ManualClock
from privacy import selectors
from privacy.dp.accountant import Release
from privacy.errors import BudgetExhausted
from privacy.models import BudgetEntry
from privacy.services import budget

pytestmark = pytest.mark.django_db(transaction=True)
ORGS = ("org-alpha", "org-beta", "org-gamma")
PATIENCE = 0.5  # seconds for which the first reader waits for a second one, which the lock keeps away


@pytest.mark.parametrize("mode", ["organization", "record"])
def test_of_two_rounds_that_want_the_last_slot_one_gets_it(
    mechanism: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Whoever has read the budget waits for the other to read it too: without the lock both would find room."""
    gaussian = mechanism(rounds=1, privacy_mode=mode)
    if mode == "record":
        moments = selectors.planned_mechanism(selectors.RecordPlan(clip_ppm=1, sampling_ppm=10**6, steps=1))
        assert moments is not None
        with transaction.atomic():
            budget.reserve(org_ids=ORGS, round_id="moments", mechanism=moments.as_mapping(), clock=ManualClock())
    with transaction.atomic():  # the accounts exist: it is their locks that must decide, not who inserts them first
        budget.lock_accounts(ORGS)
    both_have_read = threading.Barrier(2)
    read = selectors.charged

    def read_together(org_ids: Sequence[str] | None = None) -> Mapping[str, Counter[Release]]:
        figures = read(org_ids)
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_read.wait(timeout=PATIENCE)
        return figures

    monkeypatch.setattr(selectors, "charged", read_together)

    def start(number: int) -> str:
        try:
            with transaction.atomic():
                organizations = ORGS if number else tuple(reversed(ORGS))
                budget.reserve(
                    org_ids=organizations, round_id=f"round-{number}", mechanism=gaussian, clock=ManualClock()
                )
        except BudgetExhausted:
            return "refused"
        finally:
            connection.close()
        return "reserved"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(start, range(2))) == ["refused", "reserved"]
    reserved = BudgetEntry.objects.filter(kind="reserved").exclude(round_id="moments")
    assert reserved.values("round_id").distinct().count() == 1
    assert reserved.count() == len(ORGS)


def test_a_round_that_is_rolled_back_reserves_nothing(mechanism: Callable[..., dict[str, Any]]) -> None:
    gaussian = mechanism(rounds=1)
    with transaction.atomic():
        budget.reserve(org_ids=ORGS, round_id="round-0", mechanism=gaussian, clock=ManualClock())
        transaction.set_rollback(True)
    with transaction.atomic():
        budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=gaussian, clock=ManualClock())


def test_charging_outside_a_transaction_is_refused(mechanism: Callable[..., dict[str, Any]]) -> None:
    gaussian = mechanism()
    with pytest.raises(transaction.TransactionManagementError):
        budget.reserve(org_ids=ORGS, round_id="round-0", mechanism=gaussian, clock=ManualClock())
    with pytest.raises(transaction.TransactionManagementError):
        budget.settle(round_id="round-0", org_ids=ORGS, clock=ManualClock())
    assert not BudgetEntry.objects.exists()

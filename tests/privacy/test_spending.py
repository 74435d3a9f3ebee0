"""How long budgets last: the same figures as entry by entry, in as many queries for a thousand as for two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from privacy import selectors, statements
from privacy.dp.accountant import Release, epsilon_ppm, rounds_until_exhausted
from privacy.dp.composition import PPM
from privacy.errors import PrivacyParameterInvalid
from privacy.models import BudgetEntry
from privacy.selectors.outlook import outlook
from privacy.selectors.spending import budgets_page, charges_of, entries_page, spending_of
from privacy.services import budget
from tests.privacy.conftest import ALPHA
from tests.support.spending import SAMPLED, spend

pytestmark = pytest.mark.django_db
Configure = Callable[..., dict[str, Any]]
DELTA = 1e-5


def give_back(clock: ManualClock, round_id: str) -> None:
    statement = statements.no_noise(round_id=round_id, org_id="org-alpha")
    signature = dsse.sign(ALPHA, dsse.NO_NOISE_TYPE, statement)
    budget.release(
        round_id=round_id,
        org_id="org-alpha",
        statement=statement,
        key_id=ALPHA.public.key_id,
        signature=signature,
        clock=clock,
    )


@pytest.mark.usefixtures("organizations")
def test_what_the_database_counts_is_what_the_entries_say(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism(rounds=9)
    other = mechanism(rounds=4)
    for number, noise in enumerate((gaussian, gaussian, other, gaussian)):
        budget.reserve(org_ids=["org-alpha", "org-beta"], round_id=f"round-{number}", mechanism=noise, clock=clock)
    give_back(clock, "round-0")
    give_back(clock, "round-2")
    budget.settle(round_id="round-2", org_ids=["org-alpha"], clock=clock)  # used all the same
    entry_by_entry: dict[str, Counter[Release]] = {"org-alpha": Counter(), "org-beta": Counter()}
    for entry in BudgetEntry.objects.charged().select_related("account"):
        entry_by_entry[entry.account.org_id][entry.release] += 1
    assert selectors.charged() == entry_by_entry
    assert selectors.charged()["org-alpha"].total() == 3
    assert selectors.charged()["org-gamma"] == Counter()


def test_who_has_spent_most_comes_first_and_says_how_many_rounds_are_left(
    mechanism: Configure, clock: ManualClock
) -> None:
    gaussian = mechanism(rounds=3)
    for round_id, org_ids in (("round-1", ["org-a", "org-b", "org-c"]), ("round-2", ["org-b"]), ("round-3", ["org-b"])):
        budget.reserve(org_ids=org_ids, round_id=round_id, mechanism=gaussian, clock=clock)
    budget.settle(round_id="round-1", org_ids=["org-a", "org-b"], clock=clock)
    rows, total = budgets_page(limit=10, offset=0)
    assert [(row.org_id, row.rounds_left, row.with_noise) for row in rows] == [
        ("org-b", rows[0].rounds_left, 1),
        ("org-a", rows[1].rounds_left, 1),
        ("org-c", rows[1].rounds_left, 0),
    ]
    assert rows[0].rounds_left is not None
    assert rows[1].rounds_left == rows[0].rounds_left + 2
    assert (total, rows[1]) == (3, spending_of("org-a"))
    assert budgets_page(limit=1, offset=1) == ([rows[1]], 3)
    assert [row.org_id for row in budgets_page(search="G-C", limit=10, offset=0)[0]] == ["org-c"]
    assert rows[0].epsilon_used == selectors.budget("org-b")["epsilon_used"]
    assert rows[0].rounds_left == selectors.budget("org-b")["rounds_until_budget_exhausted"]


def test_rounds_without_noise_cost_nothing_and_are_counted(clock: ManualClock) -> None:
    budget.settle(round_id="round-1", org_ids=["org-a"], clock=clock)
    (row,), _ = budgets_page(limit=10, offset=0)
    assert (row.epsilon_used, row.rounds_left, row.is_endless, row.unprotected) == (0, None, False, 1)
    assert charges_of("org-a") == []


def test_each_charge_is_shown_with_what_was_spent_by_then(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism(rounds=70)
    for number in range(65):
        budget.reserve(org_ids=["org-a"], round_id=f"round-{number}", mechanism=gaussian, clock=clock)
        clock.advance(timedelta(hours=1))
    charges = charges_of("org-a")
    assert [charge.round_id for charge in charges] == [f"round-{number}" for number in range(5, 65)]
    release = next(iter(selectors.charged()["org-a"]))
    assert [charge.epsilon_used for charge in charges] == [
        epsilon_ppm({release: number}, DELTA) / PPM for number in range(6, 66)
    ]
    entries, total = entries_page("org-a", limit=2, offset=0)
    assert ([entry.round_id for entry in entries], total) == (["round-64", "round-63"], 65)


@pytest.mark.parametrize("organizations", [2, 40])
def test_queries_do_not_grow_with_organizations_or_rounds(
    env: Callable[..., Any],
    clock: ManualClock,
    organizations: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    env(privacy_mode="record", privacy_epsilon=8.0)
    spend([f"org-{number:03}" for number in range(organizations)], rounds=12, clock=clock)
    with django_assert_num_queries(4):
        rows, total = budgets_page(limit=50, offset=0)
    assert (len(rows), total) == (organizations, organizations)
    assert rows[0].epsilon_used == epsilon_ppm({SAMPLED: 12}, DELTA) / PPM
    with django_assert_num_queries(5):
        selectors.budget()


def test_an_outlook_computes_and_stores_nothing(env: Callable[..., Any], clock: ManualClock) -> None:
    env(privacy_mode="record", privacy_epsilon=3.0, training_rounds=20)
    spend(["org-a", "org-b", "org-c"], rounds=3, clock=clock)  # three, two and one round
    goal = selectors.configured_goal()
    now = outlook(goal)
    assert now.mechanism == selectors.planned_mechanism(selectors.training_plan())
    assert now.noise_multiplier is not None
    assert now.unspent is not None
    assert now.unspent >= 20
    for spent, rounds in ((3, now.most_spent), (2, now.middle)):
        assert now.mechanism is not None
        assert rounds == rounds_until_exhausted(
            spent=[SAMPLED] * spent, per_round=now.mechanism.release, budget_ppm=3 * PPM, delta=DELTA
        )
    stronger = outlook(replace(goal, budget_ppm=goal.budget_ppm // 2))
    assert stronger.noise_multiplier is not None
    assert stronger.noise_multiplier > now.noise_multiplier
    whole = outlook(replace(goal, mode="organization"))
    assert whole.mechanism is not None
    assert whole.mechanism.as_mapping()["mechanism"] == "gaussian"
    assert outlook(replace(goal, mode="none")).noise_multiplier is None
    with pytest.raises(PrivacyParameterInvalid):
        outlook(replace(goal, budget_ppm=100))
    assert outlook(goal) == now

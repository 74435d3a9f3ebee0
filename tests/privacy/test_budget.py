"""The budget: reserved before noise, spent when used, given back only on a signature, refused when it is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, models, transaction
from django.db.utils import DatabaseError

from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from flxdr.platform.models import AuditEvent
from privacy import selectors, statements
from privacy.errors import (
    BudgetExhausted,
    PrivacyParameterInvalid,
    ReservationExists,
    ReservationMissing,
    ReservationSpent,
    StatementInvalid,
)
from privacy.models import BudgetAccount, BudgetEntry
from privacy.services import budget
from tests.privacy.conftest import ALPHA, BETA

pytestmark = pytest.mark.django_db
Configure = Callable[..., dict[str, Any]]
ORGS = ("org-beta", "org-alpha")


def kinds(round_id: str = "round-1") -> list[tuple[str, str]]:
    return sorted(BudgetEntry.objects.filter(round_id=round_id).values_list("account__org_id", "kind"))


def released(clock: ManualClock, **changed: Any) -> BudgetEntry:
    """Release org-alpha's reservation of round-1, with what a test changes of it."""
    statement = statements.no_noise(round_id="round-1", org_id="org-alpha")
    arguments = {
        "round_id": "round-1",
        "org_id": "org-alpha",
        "statement": statement,
        "key_id": ALPHA.public.key_id,
        "signature": dsse.sign(ALPHA, dsse.NO_NOISE_TYPE, statement),
    }
    return budget.release(**(arguments | changed), clock=clock)


def test_a_round_reserves_for_everybody_with_its_parameters(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism()
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=gaussian, clock=clock)
    assert kinds() == [("org-alpha", "reserved"), ("org-beta", "reserved")]
    entry = BudgetEntry.objects.get(account__org_id="org-alpha")
    assert (entry.sigma_ppm, entry.sensitivity_ppm) == (gaussian["sigma_ppm"], gaussian["sensitivity_ppm"])
    assert entry.delta_ppt == 10**7
    assert entry.recorded_at == clock.now()
    event = AuditEvent.objects.get(kind="budget.reserved")
    assert (event.subject, event.data["organizations"]) == ("round-1", sorted(ORGS))


def test_no_mechanism_reserves_and_charges_nothing(clock: ManualClock) -> None:
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism={"mechanism": "none"}, clock=clock)
    assert not BudgetAccount.objects.exists()
    budget.settle(round_id="round-1", org_ids=ORGS, clock=clock)
    assert kinds() == [("org-alpha", "unprotected"), ("org-beta", "unprotected")]
    assert selectors.budget()["epsilon_used"] == 0


def test_the_budget_lasts_as_many_rounds_as_it_was_calibrated_for(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism(rounds=3)
    for number in range(3):
        assert selectors.budget()["rounds_until_budget_exhausted"] == 3 - number
        budget.reserve(org_ids=ORGS, round_id=f"round-{number}", mechanism=gaussian, clock=clock)
    assert selectors.budget()["rounds_until_budget_exhausted"] == 0
    with pytest.raises(BudgetExhausted) as caught:
        budget.reserve(org_ids=ORGS, round_id="round-3", mechanism=gaussian, clock=clock)
    problem = caught.value.as_problem()
    assert (problem["status"], problem["code"]) == (409, "budget_exhausted")
    assert problem["epsilon_total"] == 1.0
    assert set(problem["epsilon_used"]) == set(ORGS)
    assert all(0.999 < used <= 1.0 for used in problem["epsilon_used"].values())
    assert not BudgetEntry.objects.filter(round_id="round-3").exists()


@pytest.mark.usefixtures("organizations")
def test_each_organization_has_a_runway_of_its_own(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism(rounds=6)
    assert selectors.runways(at_most=9) == {}
    for number in range(2):
        budget.reserve(org_ids=ORGS, round_id=f"round-{number}", mechanism=gaussian, clock=clock)
    budget.reserve(org_ids=ORGS[:1], round_id="round-2", mechanism=gaussian, clock=clock)
    assert selectors.runways(at_most=9) == {"org-beta": 3, "org-alpha": 4}
    assert selectors.runways(at_most=3) == {"org-beta": 3, "org-alpha": 3}
    released(clock)
    assert selectors.runways(at_most=9) == {"org-beta": 3, "org-alpha": 5}, "what was given back is not charged"


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 8.0])
@pytest.mark.parametrize("rounds", [1, 10])
def test_at_record_level_it_pays_for_the_moments_and_as_many_rounds(
    mechanism: Configure, clock: ManualClock, epsilon: float, rounds: int
) -> None:
    training = mechanism(rounds=rounds, privacy_mode="record", privacy_epsilon=epsilon)
    moments = selectors.planned_mechanism(selectors.RecordPlan(clip_ppm=10**7, sampling_ppm=10**6, steps=1))
    assert moments is not None
    budget.reserve(org_ids=ORGS, round_id="moments", mechanism=moments.as_mapping(), clock=clock)
    assert selectors.budget()["rounds_until_budget_exhausted"] == rounds
    for number in range(rounds):
        budget.reserve(org_ids=ORGS, round_id=f"round-{number}", mechanism=training, clock=clock)
    assert 0.99 * epsilon < selectors.budget()["epsilon_used"] <= epsilon
    with pytest.raises(BudgetExhausted):
        budget.reserve(org_ids=ORGS, round_id="another", mechanism=training, clock=clock)


def test_one_exhausted_organization_refuses_the_round_for_all(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism(rounds=1)
    budget.reserve(org_ids=["org-alpha"], round_id="round-1", mechanism=gaussian, clock=clock)
    with pytest.raises(BudgetExhausted, match="of org-alpha"):
        budget.reserve(org_ids=ORGS, round_id="round-2", mechanism=gaussian, clock=clock)
    assert kinds("round-2") == []
    budget.reserve(org_ids=["org-beta"], round_id="round-2", mechanism=gaussian, clock=clock)


def test_a_round_that_ends_without_a_word_stays_charged(mechanism: Configure, clock: ManualClock) -> None:
    """A crash or a failure after the reservation: nobody knows whether noise was drawn, so it counts."""
    gaussian = mechanism(rounds=1)
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=gaussian, clock=clock)
    budget.settle(round_id="round-1", org_ids=["org-alpha"], clock=clock)  # org-beta never submitted
    with pytest.raises(BudgetExhausted, match="of org-beta"):
        budget.reserve(org_ids=["org-beta"], round_id="round-2", mechanism=gaussian, clock=clock)


def test_settling_spends_once(mechanism: Configure, clock: ManualClock) -> None:
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=mechanism(), clock=clock)
    before = selectors.charged()
    for _ in range(2):
        budget.settle(round_id="round-1", org_ids=ORGS, clock=clock)
    assert kinds() == [(org, kind) for org in sorted(ORGS) for kind in ("reserved", "spent")]
    assert selectors.charged() == before
    assert AuditEvent.objects.filter(kind="budget.spent").count() == 1


def test_a_second_reservation_of_a_round_is_refused(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism()
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=gaussian, clock=clock)
    with pytest.raises(ReservationExists):
        budget.reserve(org_ids=["org-alpha"], round_id="round-1", mechanism=gaussian, clock=clock)


@pytest.mark.usefixtures("organizations")
def test_a_signed_statement_gives_the_reservation_back(mechanism: Configure, clock: ManualClock) -> None:
    gaussian = mechanism(rounds=1)
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=gaussian, clock=clock)
    entry = released(clock)
    assert entry.kind == "released"
    assert released(clock) == entry
    assert bytes(BudgetEntry.objects.get(pk=entry.pk).statement) == (
        b'{"no_noise_drawn":true,"org":"org-alpha","round_id":"round-1","v":1}'
    )
    assert dict(selectors.charged(["org-alpha"])) == {}
    assert AuditEvent.objects.filter(kind="budget.released", actor="organization:org-alpha").count() == 1
    budget.reserve(org_ids=["org-alpha"], round_id="round-2", mechanism=gaussian, clock=clock)
    with pytest.raises(BudgetExhausted, match="of org-beta"):
        budget.reserve(org_ids=["org-beta"], round_id="round-2", mechanism=gaussian, clock=clock)


STATEMENT = statements.no_noise(round_id="round-1", org_id="org-alpha")
OTHER_ROUND = statements.no_noise(round_id="round-2", org_id="org-alpha")


@pytest.mark.usefixtures("organizations")
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"signature": bytes(3309)}, id="forged"),
        pytest.param({"signature": b""}, id="unsigned"),
        pytest.param({"signature": ALPHA.sign(STATEMENT)}, id="signed without its type"),
        pytest.param({"signature": dsse.sign(BETA, dsse.NO_NOISE_TYPE, STATEMENT)}, id="signed by another"),
        pytest.param(
            {"key_id": BETA.public.key_id, "signature": dsse.sign(BETA, dsse.NO_NOISE_TYPE, STATEMENT)},
            id="another's key named",
        ),
        pytest.param(
            {"statement": OTHER_ROUND, "signature": dsse.sign(ALPHA, dsse.NO_NOISE_TYPE, OTHER_ROUND)},
            id="replay from another round",
        ),
        pytest.param({"statement": STATEMENT.replace(b":1}", b":1 }")}, id="another spelling"),
        pytest.param({"statement": STATEMENT.replace(b"true", b"false")}, id="it says the opposite"),
    ],
)
def test_nothing_else_gives_it_back(mechanism: Configure, clock: ManualClock, changed: dict[str, Any]) -> None:
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=mechanism(), clock=clock)
    before = selectors.charged()
    with pytest.raises(StatementInvalid):
        released(clock, **changed)
    assert selectors.charged() == before
    assert kinds() == [("org-alpha", "reserved"), ("org-beta", "reserved")]


@pytest.mark.usefixtures("organizations")
def test_what_was_used_cannot_be_given_back(mechanism: Configure, clock: ManualClock) -> None:
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=mechanism(), clock=clock)
    budget.settle(round_id="round-1", org_ids=ORGS, clock=clock)
    with pytest.raises(ReservationSpent):
        released(clock)


@pytest.mark.usefixtures("organizations")
def test_what_was_given_back_and_used_all_the_same_is_charged(mechanism: Configure, clock: ManualClock) -> None:
    budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=mechanism(), clock=clock)
    before = selectors.charged()
    released(clock)
    budget.settle(round_id="round-1", org_ids=ORGS, clock=clock)
    assert selectors.charged() == before


@pytest.mark.usefixtures("organizations")
def test_only_what_was_reserved_is_released(clock: ManualClock) -> None:
    with pytest.raises(ReservationMissing):
        released(clock)


@pytest.mark.parametrize(
    "changed",
    [
        {"mechanism": "laplace"},
        {"unit": "record"},
        {"sigma_ppm": 0},
        {"sigma_ppm": 1.5},
        {"sigma_ppm": True},
        {"sensitivity_ppm": -1},
        {"calibration": "guess"},
        {"shares": 0},
        {"extra": 1},
    ],
)
def test_a_malformed_mechanism_is_refused(mechanism: Configure, clock: ManualClock, changed: dict[str, Any]) -> None:
    with pytest.raises(PrivacyParameterInvalid):
        budget.reserve(org_ids=ORGS, round_id="round-1", mechanism=mechanism() | changed, clock=clock)
    assert not BudgetEntry.objects.exists()


def test_none_takes_no_parameters(clock: ManualClock) -> None:
    with pytest.raises(PrivacyParameterInvalid):
        budget.reserve(org_ids=ORGS, round_id="round-1", mechanism={"mechanism": "none", "sigma_ppm": 5}, clock=clock)


def entry(**values: Any) -> BudgetEntry:
    """An unsaved entry that every constraint allows, with what a test changes of it."""
    account, _ = BudgetAccount.objects.get_or_create(org_id="org-alpha")
    defaults: dict[str, Any] = {
        "account": account,
        "round_id": "round-1",
        "kind": "reserved",
        "mechanism": "gaussian",
        "sensitivity_ppm": 1,
        "sigma_ppm": 1,
        "delta_ppt": 1,
        "recorded_at": ManualClock().now(),
    }
    return BudgetEntry(**(defaults | values))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sigma_ppm": None},
        {"sigma_ppm": 0},
        {"sensitivity_ppm": None},
        {"delta_ppt": None},
        {"sampling_ppm": 0},
        {"sampling_ppm": 1_000_001},
        {"steps": 0},
        {"mechanism": "none"},
        {"kind": "lost"},
        {"kind": "spent"},
        {"kind": "released"},
        {"kind": "unprotected"},
        {"key_id": "a"},
        {"statement": b"a", "signature": b"b", "key_id": "c"},
    ],
    ids=str,
)
def test_the_database_refuses_entries_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        entry(**wrong).save()
    entry().save()
    with pytest.raises(IntegrityError), transaction.atomic():
        entry().save()


@pytest.mark.parametrize(
    "unsigned",
    [{"statement": b""}, {"signature": b""}, {"key_id": ""}],
    ids=str,
)
def test_the_database_refuses_an_unsigned_release(unsigned: dict[str, Any]) -> None:
    reservation = entry()
    reservation.save()
    release = {"kind": "released", "reservation": reservation, "statement": b"a", "signature": b"b", "key_id": "c"}
    with pytest.raises(IntegrityError), transaction.atomic():
        entry(**(release | unsigned)).save()
    entry(**release).save()
    with pytest.raises(IntegrityError), transaction.atomic():
        entry(**release).save()


def test_entries_are_never_changed() -> None:
    saved = entry()
    saved.save()
    with pytest.raises(ImproperlyConfigured):
        saved.save()
    with pytest.raises(ImproperlyConfigured):
        saved.delete()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        BudgetEntry.objects.filter(pk=saved.pk).update(sigma_ppm=10**9)
    with pytest.raises(models.ProtectedError):
        BudgetAccount.objects.filter(org_id="org-alpha").delete()
    if connection.vendor == "postgresql":
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            BudgetEntry.objects.filter(pk=saved.pk).delete()

"""`privacy/config` and `privacy/budget`: the guide's fields, from the real state, each to whom it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from flxdr.core.clock import ManualClock
from flxdr.platform.auth.principal import Principal
from privacy import selectors
from privacy.api import examples
from privacy.api.serializers import PrivacyBudgetSerializer, PrivacyConfigurationSerializer
from privacy.dp.accountant import epsilon_ppm
from privacy.dp.composition import PPM
from privacy.errors import MechanismUnavailable, PrivacyParameterInvalid
from privacy.mechanism import parse
from privacy.services import budget

pytestmark = pytest.mark.django_db
PREFIX = "/api/fl-blockchain/privacy"
ORGS = ("org-alpha", "org-beta")
GUIDE_BUDGET = (
    "epsilon_total",
    "epsilon_used",
    "epsilon_remaining",
    "rounds_trained",
    "rounds_until_budget_exhausted",
)


@pytest.fixture
def alpha() -> APIClient:
    client = APIClient(HTTP_HOST="localhost")
    client.force_authenticate(user=Principal("organization", "org-alpha"))  # type: ignore[arg-type]
    return client


def train(mechanism: dict[str, Any], clock: ManualClock) -> None:
    """Two rounds: both organisations in the first, org-beta alone in the second."""
    for round_id, org_ids in (("round-1", ORGS), ("round-2", ORGS[1:])):
        budget.reserve(org_ids=org_ids, round_id=round_id, mechanism=mechanism, clock=clock)
        budget.settle(round_id=round_id, org_ids=org_ids, clock=clock)


def test_the_routes_are_the_guides() -> None:
    assert reverse("contract-privacy-config") == f"{PREFIX}/config"
    assert reverse("contract-privacy-budget") == f"{PREFIX}/budget"


@pytest.mark.parametrize("name", ["config", "budget"])
def test_nothing_without_a_token(outsider: APIClient, name: str) -> None:
    assert outsider.get(f"{PREFIX}/{name}").status_code == 401


@pytest.mark.parametrize("name", ["config", "budget"])
def test_unknown_parameters_and_writes_are_refused(api: APIClient, name: str) -> None:
    assert api.get(f"{PREFIX}/{name}?org_id=org-beta").status_code == 400
    assert api.post(f"{PREFIX}/{name}", {}, format="json").status_code == 405


def test_configuration_says_what_is_in_force(api: APIClient, env: Callable[..., Any]) -> None:
    env(privacy_epsilon=2.5, privacy_delta=1e-6, privacy_clipping_norm=0.7)
    answer = api.get(f"{PREFIX}/config").json()
    figures = answer["differential_privacy"]
    assert (figures["epsilon"], figures["delta"], figures["clipping_norm"]) == (2.5, 1e-6, 0.7)
    assert figures["status"] == "disabled"
    assert (answer["homomorphic_encryption"], answer["secure_aggregation"]) == ("disabled", "disabled")
    assert answer["gradient_sanitization"] == "enabled"
    details = answer["gradient_sanitization_details"]
    assert (details["norm_clipping"], details["metadata_checks"]) == ("disabled", ["names of metrics", "registrations"])


@pytest.mark.parametrize(
    ("protection", "states", "checks"),
    [
        ("plain", ("disabled", "disabled"), ["tensor names", "shape", "dtype", "finite", "range"]),
        ("secagg", ("disabled", "enabled"), ["length", "range of the sum"]),
        ("paillier", ("enabled", "enabled"), ["length", "range of the sum"]),
    ],
)
def test_configuration_says_what_the_coordinator_cannot_see_and_what_it_can_check(
    api: APIClient, env: Callable[..., Any], protection: str, states: tuple[str, str], checks: list[str]
) -> None:
    env(protection=protection)
    answer = api.get(f"{PREFIX}/config").json()
    assert answer["protection"] == protection
    assert (answer["homomorphic_encryption"], answer["secure_aggregation"]) == states
    assert answer["gradient_sanitization_details"]["update_checks"] == checks
    assert answer["gradient_sanitization_details"]["pii_removal"] == "enabled"


@pytest.mark.parametrize(
    ("mode", "norm_clipping", "rate"), [("organization", "enabled", None), ("record", "disabled", 0.1)]
)
def test_noise_in_force_is_called_enabled_with_what_it_protects(
    api: APIClient, env: Callable[..., Any], mode: str, norm_clipping: str, rate: float | None
) -> None:
    env(privacy_mode=mode)
    answer = api.get(f"{PREFIX}/config").json()
    figures = answer["differential_privacy"]
    assert (figures["status"], figures["mode"], figures["sampling_rate"]) == ("enabled", mode, rate)
    assert figures["note"] == selectors.NOTES[mode]
    assert answer["gradient_sanitization_details"]["norm_clipping"] == norm_clipping


def test_record_level_rounds_of_a_model_that_no_agent_trains_are_refused(env: Callable[..., Any]) -> None:
    env(privacy_mode="record")
    with pytest.raises(MechanismUnavailable) as caught:
        selectors.planned_mechanism(None)
    problem = caught.value.as_problem()
    assert (problem["status"], problem["code"]) == (409, "privacy_mechanism_unavailable")
    assert "edge-classifier" in problem["expected"]
    assert "FL_PRIVACY_MODE=organization" in problem["action"]


def test_without_a_mode_rounds_declare_no_mechanism() -> None:
    assert selectors.planned_mechanism(None) is None


def test_rounds_without_noise_are_counted_and_charge_nothing(
    api: APIClient, alpha: APIClient, clock: ManualClock
) -> None:
    train({"mechanism": "none"}, clock)
    everybody = api.get(f"{PREFIX}/budget").json()
    assert {name: everybody[name] for name in GUIDE_BUDGET} == {
        "epsilon_total": 1.0,
        "epsilon_used": 0.0,
        "epsilon_remaining": 1.0,
        "rounds_trained": 2,
        "rounds_until_budget_exhausted": None,
    }
    assert everybody["unlimited"] is True
    assert everybody["rounds_unprotected"] == 2
    own = alpha.get(f"{PREFIX}/budget").json()
    assert (own["org_id"], own["rounds_trained"], own["rounds_unprotected"]) == ("org-alpha", 1, 1)


def test_an_organization_sees_its_own_and_an_operator_the_largest_and_all(
    api: APIClient, alpha: APIClient, clock: ManualClock, mechanism: Callable[..., dict[str, Any]]
) -> None:
    gaussian = mechanism(rounds=5)
    train(gaussian, clock)
    parsed = parse(gaussian)
    assert parsed is not None
    once, twice = (epsilon_ppm([parsed.release] * count, 1e-5) / PPM for count in (1, 2))
    own = alpha.get(f"{PREFIX}/budget").json()
    assert {name: own[name] for name in GUIDE_BUDGET} == {
        "epsilon_total": 1.0,
        "epsilon_used": once,
        "epsilon_remaining": pytest.approx(1 - once, abs=1e-9),
        "rounds_trained": 1,
        "rounds_until_budget_exhausted": 4,
    }
    assert "organizations" not in own
    assert "org-beta" not in str(own)
    everybody = api.get(f"{PREFIX}/budget").json()
    assert (everybody["epsilon_used"], everybody["rounds_trained"]) == (twice, 2)
    assert api.get("/api/fl-blockchain/federation/status").json()["privacy_budget_used"] == twice
    assert everybody["rounds_until_budget_exhausted"] == 3
    assert everybody["unlimited"] is False
    assert [(row["org_id"], row["epsilon_used"], row["rounds_trained"]) for row in everybody["organizations"]] == [
        ("org-alpha", once, 1),
        ("org-beta", twice, 2),
    ]


def test_an_epsilon_that_was_lowered_leaves_nothing(
    api: APIClient, clock: ManualClock, mechanism: Callable[..., dict[str, Any]]
) -> None:
    train(mechanism(rounds=2), clock)
    mechanism(rounds=2, privacy_epsilon=0.25)
    answer = api.get(f"{PREFIX}/budget").json()
    assert answer["epsilon_used"] > answer["epsilon_total"] == 0.25
    assert (answer["epsilon_remaining"], answer["rounds_until_budget_exhausted"]) == (0.0, 0)


def test_classic_calibration_is_planned_up_to_epsilon_one(mechanism: Callable[..., dict[str, Any]]) -> None:
    classic = mechanism(rounds=1, privacy_calibration="classic", privacy_clipping_norm=2.0)
    assert classic["sigma_ppm"] == pytest.approx(2 * 4.844805e6, abs=2)
    assert classic["clip_ppm"] == classic["sensitivity_ppm"] == 2 * PPM
    with pytest.raises(PrivacyParameterInvalid, match="analytic"):
        mechanism(privacy_calibration="classic", privacy_epsilon=1.5)


def test_the_documented_answers_have_the_shape_of_the_real_ones(api: APIClient, alpha: APIClient) -> None:
    configuration = api.get(f"{PREFIX}/config").json()
    assert configuration == examples.CONFIGURATION
    assert set(configuration) == set(PrivacyConfigurationSerializer().fields)
    own = alpha.get(f"{PREFIX}/budget").json()
    everybody = api.get(f"{PREFIX}/budget").json()
    assert own.keys() == examples.BUDGET.keys()
    assert own.keys() | everybody.keys() == set(PrivacyBudgetSerializer().fields)

"""What fixes a round at its start, and what makes a start impossible."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from federation.aggregation.errors import MethodInvalid, TooManyUpdates
from federation.aggregation.norm_bounding import NormBounding
from federation.aggregation.registry import ROBUST_METHODS, resolved
from federation.errors import (
    IncompatibleAggregation,
    ModelMissing,
    RoundOpen,
    RoundParametersInvalid,
    TooFewOrganizations,
    WrongRoundNumber,
)
from federation.models import ModelVersion, Participant, TrainingRound
from federation.services import enrolment, rounds
from flxdr.core import canonical
from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.models import AuditEvent, OutboxEvent
from models_ml import codec, registry
from privacy.models import BudgetEntry
from tests.federation.conftest import Stored
from tests.support.federation import SimulatedFederation, SimulatedOrganization, config_of, constant_delta, shapes_of

pytestmark = pytest.mark.django_db
CLASSIFIER = "edge-classifier"


@pytest.fixture
def pair(federation: SimulatedFederation) -> SimulatedFederation:
    federation.enrol("org-alpha", "org-beta")
    return federation


@pytest.mark.parametrize("default_model", ["global", CLASSIFIER])
def test_agents_models_cap_claims_of_samples_also_as_the_default(
    default_model: str, pair: SimulatedFederation, clock: ManualClock, env: Any
) -> None:
    env(default_model=default_model)
    assert config_of(rounds.start_round(actor="operator:kim", model_name=CLASSIFIER, clock=clock)).weighting == "capped"


def test_the_configuration_says_everything(pair: SimulatedFederation, clock: ManualClock) -> None:
    started = rounds.start_round(actor="operator:kim", clock=clock)
    config = config_of(started)
    assert canonical.digest(bytes(started.config)) == started.config_hash == config.config_hash
    assert config.participants == ("org-alpha", "org-beta")
    assert (config.aggregation_method, dict(config.aggregation_params)) == ("FedProx", {"lambda_ppm": 10_000})
    assert (config.weighting, config.protection, config.min_orgs, config.n_max) == ("samples", "plain", 2, 2)
    assert (config.model_schema, config.parent_hash, config.parent_version) == (None, None, 0)
    assert (config.local.batch_size, config.local.learning_rate_ppm, config.local.proximal_ppm) == (32, 10_000, 10_000)
    assert (config.deadline - clock.now()).total_seconds() == 600
    assert config.privacy == {"mechanism": "none"}
    assert not BudgetEntry.objects.exists()
    event = AuditEvent.objects.get(kind="round.started")
    assert (event.actor, event.subject, event.data["config_hash"]) == (
        "operator:kim",
        started.round_id,
        started.config_hash,
    )
    assert OutboxEvent.objects.filter(event=event).exists()


def test_a_registry_model_starts_from_its_initial_version(pair: SimulatedFederation, clock: ManualClock) -> None:
    config = config_of(rounds.start_round(actor="operator", model_name=CLASSIFIER, clock=clock))
    initial = ModelVersion.objects.get(model_name=CLASSIFIER)
    spec = registry.MODELS[CLASSIFIER]
    assert (initial.version, initial.status) == (0, "initial")
    assert initial.model_hash == config.parent_hash == codec.model_hash(codec.encode(spec.initial()))
    assert config.model_schema == tuple((tensor.name, tensor.shape) for tensor in spec.schema.tensors)
    assert config.weighting == "capped"
    assert config.local.normaliser_hash is None


def test_the_normaliser_is_averaged_exactly_and_named_by_the_classifier(
    pair: SimulatedFederation, clock: ManualClock
) -> None:
    normaliser = rounds.start_round(actor="operator", model_name="edge-normaliser", clock=clock)
    config = config_of(normaliser)
    assert (config.aggregation_method, config.weighting, config.local.proximal_ppm) == ("FedAvg", "samples", 0)
    pair.submit_all(normaliser, constant_delta(shapes_of("edge-normaliser"), 7))
    pair.settle()
    released = ModelVersion.objects.get(training_round=normaliser)
    classifier = rounds.start_round(actor="operator", model_name=CLASSIFIER, clock=clock)
    assert config_of(classifier).local.normaliser_hash == released.model_hash


@pytest.mark.parametrize(("following", "state"), [("FedAvg", "5" * 64), ("FedProx", None)])
def test_an_optimizer_goes_on_after_a_round_of_its_own_method_only(
    pair: SimulatedFederation, clock: ManualClock, following: str, state: str | None
) -> None:
    first = rounds.start_round(actor="operator", model_name=CLASSIFIER, aggregation_method="FedAvg", clock=clock)
    assert config_of(first).optimizer_state_hash is None
    pair.submit_all(first, constant_delta(shapes_of(CLASSIFIER), 7))
    pair.settle()
    ModelVersion.objects.filter(training_round=first).update(optimizer_state_digest="5" * 64)
    second = rounds.start_round(actor="operator", model_name=CLASSIFIER, aggregation_method=following, clock=clock)
    assert config_of(second).optimizer_state_hash == state


def test_choices_overrule_settings(pair: SimulatedFederation, clock: ManualClock) -> None:
    started = rounds.start_round(
        actor="operator",
        aggregation_method="FedAvg",
        weighting="equal",
        local={"epochs": 3, "learning_rate_ppm": 5},
        timeout=30,
        min_orgs=1,
        clock=clock,
    )
    config = config_of(started)
    assert (config.aggregation_method, dict(config.aggregation_params), config.weighting) == ("FedAvg", {}, "equal")
    assert (config.local.epochs, config.local.learning_rate_ppm, config.local.proximal_ppm) == (3, 5, 0)
    assert (started.min_orgs, (started.deadline - clock.now()).total_seconds()) == (1, 30)


def test_the_robust_method_comes_from_the_settings(
    federation: SimulatedFederation, clock: ManualClock, env: Any
) -> None:
    federation.enrol("org-a", "org-b", "org-c", algorithm=None)
    env(aggregation_robust_method="median")
    started = rounds.start_round(actor="operator", aggregation_method="RobustAggregator", clock=clock)
    assert config_of(started).aggregation_params["robust_method"] == "median"
    assert started.min_orgs >= 2


def test_parameters_of_the_set_method_come_from_the_settings(
    pair: SimulatedFederation, clock: ManualClock, env: Any
) -> None:
    env(aggregation_params={"lambda_ppm": 70_000})
    config = config_of(rounds.start_round(actor="operator", clock=clock))
    assert dict(config.aggregation_params) == {"lambda_ppm": 70_000}
    other = rounds.start_round(actor="operator", model_name=CLASSIFIER, aggregation_method="FedAvg", clock=clock)
    assert dict(config_of(other).aggregation_params) == {}


@pytest.mark.parametrize(
    ("params", "trim"),
    [
        ({}, 300_000),
        ({"trim_ppm": 1}, 1),
        ({"robust_method": "trimmed_mean"}, 300_000),
        ({"robust_method": "median"}, 0),
    ],
)
def test_parameters_of_the_set_robust_method(
    federation: SimulatedFederation, clock: ManualClock, env: Any, params: dict[str, Any], trim: int
) -> None:
    federation.enrol("org-a", "org-b", "org-c", algorithm=None)
    env(aggregation_method="RobustAggregator", aggregation_params={"trim_ppm": 300_000})
    started = rounds.start_round(actor="operator", aggregation_params=params, clock=clock)
    assert config_of(started).aggregation_params.get("trim_ppm", 0) == trim


def test_a_method_that_is_not_set_keeps_its_own_defaults(
    federation: SimulatedFederation, clock: ManualClock, env: Any
) -> None:
    federation.enrol("org-a", "org-b", "org-c", algorithm=None)
    env(aggregation_method="FedAvg", aggregation_robust_method="trimmed_mean")
    started = rounds.start_round(actor="operator", aggregation_method="RobustAggregator", clock=clock)
    assert config_of(started).aggregation_params == resolved("RobustAggregator", {"robust_method": "trimmed_mean"})


@pytest.mark.parametrize(
    "parameters",
    [
        {"aggregation_method": "FedProx"},
        {"aggregation_method": "RobustAggregator"},
        {"weighting": "equal"},
        {"weighting": "capped", "aggregation_method": "FedAvg"},
    ],
)
def test_exact_statistics_are_only_averaged_by_samples(
    federation: SimulatedFederation, clock: ManualClock, stored: Stored, parameters: dict[str, Any]
) -> None:
    federation.enrol("org-a", "org-b", "org-c", algorithm=None)
    before = stored.count()
    with pytest.raises(IncompatibleAggregation) as caught:
        rounds.start_round(actor="operator", model_name="edge-normaliser", clock=clock, **parameters)
    assert caught.value.expected == "aggregation_method FedAvg and weighting samples"
    assert stored.count() == before


@pytest.mark.parametrize("robust", sorted(ROBUST_METHODS))
def test_too_few_for_a_method_says_what_to_choose_instead(
    pair: SimulatedFederation, clock: ManualClock, robust: str
) -> None:
    chosen: dict[str, Any] = {
        "aggregation_method": "RobustAggregator",
        "aggregation_params": {"robust_method": robust},
    }
    with pytest.raises(TooFewOrganizations) as caught:
        rounds.start_round(actor="operator", clock=clock, **chosen)
    assert f"for {robust})" in caught.value.detail
    assert caught.value.action == ROBUST_METHODS[robust].instead


def test_too_many_for_a_method_says_what_to_choose_instead(
    federation: SimulatedFederation, clock: ManualClock, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert NormBounding().maximum() == 4294
    monkeypatch.setattr(NormBounding, "maximum", lambda _: 3)
    federation.enrol(*"abcd", algorithm=None)
    before = stored.count()
    parameters: dict[str, Any] = {
        "aggregation_method": "RobustAggregator",
        "aggregation_params": {"robust_method": "norm_bounding"},
    }
    with pytest.raises(TooManyUpdates, match="norm_bounding cannot combine 4 updates") as caught:
        rounds.start_round(actor="operator", min_orgs=3, clock=clock, **parameters)
    assert "at most 3" in str(caught.value.expected)
    assert "median" in str(caught.value.action)
    assert stored.count() == before
    enrolment.suspend(org_id="d", actor="operator", clock=clock)
    rounds.start_round(actor="operator", clock=clock, **parameters)


def test_too_few_for_the_caller_alone_is_said_so(pair: SimulatedFederation, clock: ManualClock) -> None:
    with pytest.raises(TooFewOrganizations, match="Lower min_orgs_required"):
        rounds.start_round(actor="operator", min_orgs=3, clock=clock)


def test_who_takes_part(federation: SimulatedFederation, clock: ManualClock) -> None:
    federation.enrol("org-member", "org-second")
    federation.enrol("org-keyless", "org-out", algorithm=None)
    enrolment.suspend(org_id="org-out", actor="operator", clock=clock)
    key = PrivateKey(Algorithm.ED25519, b"w" * 32)
    SimulatedOrganization("org-waiting", clock, key).register()
    unproven = PrivateKey(Algorithm.ED25519, b"u" * 32).public.to_pem()
    enrolment.register(org_id="org-unproven", name="Unproven", public_key_text=unproven, clock=clock)
    started = rounds.start_round(actor="operator", clock=clock)
    assert config_of(started).participants == ("org-keyless", "org-member", "org-second", "org-unproven")
    assert Participant.objects.filter(training_round=started, status="expected").count() == 4


def test_a_member_joins_from_the_round_after_its_admission(federation: SimulatedFederation, clock: ManualClock) -> None:
    federation.enrol("org-alpha", "org-beta")
    first = rounds.start_round(actor="operator", timeout=10, clock=clock)
    federation.enrol("org-gamma")
    assert "org-gamma" not in config_of(first).participants
    rounds.abort_round(round_id=first.round_id, actor="operator", reason="test", clock=clock)
    assert "org-gamma" in config_of(rounds.start_round(actor="operator", clock=clock)).participants


@pytest.mark.parametrize("number", [0, 2, 7])
def test_another_number_than_the_next_is_refused(
    pair: SimulatedFederation, clock: ManualClock, stored: Stored, number: int
) -> None:
    before = stored.count()
    with pytest.raises(WrongRoundNumber) as caught:
        rounds.start_round(actor="operator", round_number=number, clock=clock)
    assert caught.value.fields["next_round_number"] == 1
    assert stored.count() == before


def test_every_started_round_takes_a_number_per_model(pair: SimulatedFederation, clock: ManualClock) -> None:
    first = rounds.start_round(actor="operator", clock=clock)
    rounds.abort_round(round_id=first.round_id, actor="operator", reason="test", clock=clock)
    assert rounds.start_round(actor="operator", round_number=2, clock=clock).number == 2
    assert rounds.start_round(actor="operator", model_name=CLASSIFIER, clock=clock).number == 1


def test_one_open_round_per_model(pair: SimulatedFederation, clock: ManualClock, stored: Stored) -> None:
    first = rounds.start_round(actor="operator", clock=clock)
    before = stored.count()
    with pytest.raises(RoundOpen) as caught:
        rounds.start_round(actor="operator", clock=clock)
    assert caught.value.fields["round_id"] == first.round_id
    assert stored.count() == before


def test_the_database_too_knows_only_one_open_round(pair: SimulatedFederation, clock: ManualClock) -> None:
    first = rounds.start_round(actor="operator", clock=clock)
    with pytest.raises(IntegrityError, match=r"UNIQUE|one_open_round_per_model"), transaction.atomic():
        TrainingRound.objects.create(
            round_id="round-9",
            number=9,
            model_name=first.model_name,
            config=b"{}",
            config_hash="0" * 64,
            aggregation_method="FedAvg",
            protection="plain",
            min_orgs=1,
            deadline=first.deadline,
        )


@pytest.mark.parametrize(
    ("parameters", "required"),
    [
        ({}, 2),
        ({"min_orgs": 5}, 5),
        ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "krum"}}, 5),
        (
            {
                "aggregation_method": "RobustAggregator",
                "aggregation_params": {"robust_method": "multi_krum", "byzantine": 2, "keep": 9},
            },
            11,
        ),
        (
            {
                "aggregation_method": "RobustAggregator",
                "aggregation_params": {"robust_method": "bulyan", "byzantine": 2},
            },
            11,
        ),
        ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "geometric_median"}}, 3),
    ],
)
def test_an_unreachable_minimum_is_refused(
    federation: SimulatedFederation, clock: ManualClock, stored: Stored, parameters: dict[str, Any], required: int
) -> None:
    federation.enrol("org-alpha", algorithm=None)
    before = stored.count()
    with pytest.raises(TooFewOrganizations) as caught:
        rounds.start_round(actor="operator", clock=clock, **parameters)
    assert caught.value.fields["required"] == required
    assert caught.value.fields["participants"] == ["org-alpha"]
    assert f"1 organizations would take part and {required} are needed" in caught.value.detail
    assert stored.count() == before


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"model_name": "no-such-model"}, ModelMissing),
        ({"aggregation_method": "FedMagic"}, MethodInvalid),
        ({"aggregation_params": {"lambda_ppm": -1}}, MethodInvalid),
        ({"aggregation_params": {"nonsense": 1}}, MethodInvalid),
        ({"weighting": "heavy"}, RoundParametersInvalid),
        ({"protection": "tinfoil"}, RoundParametersInvalid),
        ({"min_orgs": 0}, RoundParametersInvalid),
        ({"min_orgs": True}, RoundParametersInvalid),
        ({"timeout": 0}, RoundParametersInvalid),
        ({"timeout": 10**9}, RoundParametersInvalid),
        ({"local": {"epochs": 0}}, RoundParametersInvalid),
        ({"local": {"epochs": 1.5}}, RoundParametersInvalid),
        ({"local": {"optimiser": 1}}, RoundParametersInvalid),
    ],
)
def test_impossible_parameters_store_nothing(
    pair: SimulatedFederation, clock: ManualClock, stored: Stored, parameters: dict[str, Any], error: type[Exception]
) -> None:
    before = stored.count()
    with pytest.raises(error):
        rounds.start_round(actor="operator", clock=clock, **parameters)
    assert stored.count() == before

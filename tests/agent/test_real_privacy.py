"""Rounds with noise at the real coordinator: both accounts say the same, and sums hold the noise that they declare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from federation.models import ModelVersion
from federation.round_config import RoundConfig
from federation.services.model_versions import load
from ledger.chain.block import parse_header
from ledger.models import Block
from models_ml.fixed_point import SCALE
from models_ml.registry import MODELS
from privacy.dp.accountant import Release, epsilon_ppm
from privacy.mechanism import Gaussian, SampledGaussian, parse
from tests.agent.real_federation import ORGS, Federation
from tests.agent.test_masked_rounds import masked_round


def test_a_budget_for_two_rounds_trains_two_and_refuses_the_third(
    federation: Federation, env: Callable[..., Any]
) -> None:
    env(privacy_mode="record", privacy_required=True, privacy_epsilon=8.0, training_rounds=2, learning_rate=0.3)
    for org_id in ORGS:
        federation.enrol(org_id, "--tolerance", "1.0")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    federation.round("edge-normaliser")
    for _ in range(2):
        federation.round("edge-classifier", local={"epochs": 2})

    mechanisms = [
        parse(header.provenance.privacy)
        for header in (parse_header(bytes(block.header)) for block in Block.objects.order_by("height"))
        if header.provenance is not None
    ]
    assert [mechanism.steps for mechanism in mechanisms if isinstance(mechanism, SampledGaussian)] == [1, 20, 20]
    releases = [mechanism.release for mechanism in mechanisms if mechanism is not None]
    spent = epsilon_ppm(releases, 1e-5) / 1e6
    assert 7.9 < spent <= 8.0
    budget = httpx.get(f"{federation.url}/api/fl-blockchain/privacy/budget").json()
    assert [row["epsilon_used"] for row in budget["organizations"]] == [spent] * 3
    for org_id in ORGS:
        (own,) = federation.cli(org_id, "privacy", "budget")
        assert own["epsilon_used"] == spent
        assert [Release(**{name: release[name] for name in vars(releases[0])}) for release in own["releases"]] == (
            releases
        )

    body = {"model": "edge-classifier", "aggregation_method": "FedAvg", "local": {"epochs": 2}}
    refused = httpx.post(f"{federation.url}/api/fl-blockchain/federation/round/start", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "budget_exhausted")
    body = {"model": "global", "aggregation_method": "FedAvg"}
    refused = httpx.post(f"{federation.url}/api/fl-blockchain/federation/round/start", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "privacy_mechanism_unavailable")


def test_organization_level_noise_goes_into_masked_sums_in_shares(
    federation: Federation, env: Callable[..., Any]
) -> None:
    env(privacy_mode="organization", privacy_clipping_norm=0.05, privacy_epsilon=8.0, training_rounds=1)
    for org_id in ORGS:
        federation.enrol(org_id, "--tolerance", "1.0")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    masked_round(federation, "edge-classifier", weighting="equal")
    release = ModelVersion.objects.get(model_name="edge-classifier", version=1)
    assert release.training_round is not None
    mechanism = parse(RoundConfig.decode(bytes(release.training_round.config)).privacy)
    assert isinstance(mechanism, Gaussian)
    assert mechanism.shares == 3
    released = load(release)
    moved = [released[name].astype(float) - tensor for name, tensor in MODELS["edge-classifier"].initial().items()]
    spread = np.concatenate([values.ravel() for values in moved]).std() / SCALE
    assert spread == pytest.approx(mechanism.sigma_ppm / 1e6 / 3, rel=0.1)  # the mean of three shares of the noise

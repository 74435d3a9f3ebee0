"""What an update may hold: values, counts, metrics, privacy, schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation import errors
from federation.models import ModelVersion, TrainingRound
from federation.round_config import RoundConfig
from federation.services import rounds
from federation.services.received import FlatValues, NamedTensors
from federation.services.submission_checks import check_samples
from flxdr.core.clock import ManualClock
from models_ml.errors import SchemaMismatch
from privacy.errors import UpdateInvalid
from tests.federation.conftest import Stored
from tests.federation.submitting import normaliser_delta, refused
from tests.support.factories import json_update, tensor_update
from tests.support.federation import SimulatedFederation, SimulatedOrganization

pytestmark = pytest.mark.django_db


class TestValues:
    @pytest.mark.parametrize(
        "values",
        [
            [[float("nan"), 0], [0, 0]],
            [[float("inf"), 0], [0, 0]],
            [[-float("inf"), 0], [0, 0]],
            [[1e308, 0], [0, 0]],
            [[8.1, 0], [0, 0]],
            [[-200.0, 0], [0, 0]],
            pytest.param([[5e-324, 0], [0, 0]], id="denormal"),
        ],
    )
    def test_out_of_bounds(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored, values: Any
    ) -> None:
        for kind in ("weights", "delta"):
            refused(json_update(opened.round_id, "org-beta", values, kind=kind), clock, stored, UpdateInvalid)

    @pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.int16, np.float16, np.complex64, np.bool_])
    def test_other_types(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored, dtype: Any
    ) -> None:
        payload = FlatValues(np.ones((2, 2), dtype=dtype))
        refused(json_update(opened.round_id, "org-beta", payload=payload), clock, stored, UpdateInvalid)

    @pytest.mark.parametrize("kind", ["gradient", "", "WEIGHTS"])
    def test_other_kinds(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored, kind: str
    ) -> None:
        refused(json_update(opened.round_id, "org-beta", kind=kind), clock, stored, UpdateInvalid)

    @pytest.mark.parametrize("change", ["drop", "add", "shape"])
    def test_other_tensors(
        self, beta: SimulatedOrganization, normaliser: TrainingRound, clock: ManualClock, stored: Stored, change: str
    ) -> None:
        delta = normaliser_delta()
        if change == "drop":
            del delta["mean"]
        elif change == "add":
            delta["extra"] = delta["mean"]
        else:
            delta["mean"] = delta["mean"].reshape(1, -1)
        received = beta.signed(tensor_update(normaliser.round_id, "org-beta", delta))
        refused(received, clock, stored, SchemaMismatch)

    def test_a_flat_vector_of_another_length(
        self, beta: SimulatedOrganization, normaliser: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        payload = FlatValues(np.zeros(3, dtype=np.int32))
        received = tensor_update(normaliser.round_id, "org-beta", normaliser_delta(), payload=payload)
        refused(beta.signed(received), clock, stored, SchemaMismatch)

    @pytest.mark.parametrize("samples", [0, -1, 2**31 + 1, True, 1.5])
    def test_sample_counts(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored, samples: Any
    ) -> None:
        refused(json_update(opened.round_id, "org-beta", samples=samples), clock, stored, errors.SamplesInvalid)

    def test_a_billion_samples_do_not_fit_a_round_of_twenty(self, opened: TrainingRound) -> None:
        """Where counts are weights, everybody's largest count together has to fit the exact sum."""
        config = replace(RoundConfig.decode(bytes(opened.config)), n_max=20)
        most = (2**32 - 1) // 20
        assert check_samples(most, config) == most
        for samples in (most + 1, 10**9):
            with pytest.raises(errors.SamplesInvalid):
                check_samples(samples, config)
        assert check_samples(10**9, replace(config, weighting="equal")) == 10**9
        assert check_samples(10**9, replace(config, n_max=4)) == 10**9

    @pytest.mark.parametrize(
        "metrics",
        [
            {"loss": float("nan")},
            {"loss": float("inf")},
            {"loss": 1e10},
            {"accuracy": 1.01},
            {"accuracy": -0.01},
            {"Loss": 1.0},
            {"": 1.0},
            {"<script>": 1.0},
            {"a" * 65: 1.0},
            {"loss": "0.4"},
            {"loss": True},
            {f"m{number}": 1.0 for number in range(33)},
        ],
    )
    def test_metrics(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored, metrics: Any
    ) -> None:
        refused(json_update(opened.round_id, "org-beta", metrics=metrics), clock, stored, errors.MetricsInvalid)


class TestPrivacy:
    def test_another_mechanism_than_the_rounds(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        received = json_update(opened.round_id, "org-beta", privacy={"mechanism": "gaussian", "sigma_ppm": 1})
        error = refused(received, clock, stored, errors.PrivacyMismatch)
        assert error.fields["round_privacy"] == {"mechanism": "none"}

    def test_none_where_one_is_required(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored, env: Any
    ) -> None:
        env(privacy_required=True)
        refused(json_update(opened.round_id, "org-beta"), clock, stored, errors.PrivacyRequired)

    def test_declaring_nothing_is_declaring_none(self, beta: SimulatedOrganization, opened: TrainingRound) -> None:
        assert beta.submit(json_update(opened.round_id, "org-beta", privacy={})).privacy == {"mechanism": "none"}


class TestSchemaOfTheDefaultModel:
    def test_the_first_accepted_submission_fixes_it(
        self,
        alpha: SimulatedOrganization,
        opened: TrainingRound,
        clock: ManualClock,
        stored: Stored,
    ) -> None:
        alpha.submit(json_update(opened.round_id, "org-alpha"))
        initial = ModelVersion.objects.get(model_name="global")
        assert (initial.version, initial.schema) == (0, [{"name": "weights", "shape": [2, 2]}])
        refused(json_update(opened.round_id, "org-beta", [0.1, 0.2]), clock, stored, SchemaMismatch)

    def test_a_refused_one_does_not(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        refused(json_update(opened.round_id, "org-beta", [[float("nan")]]), clock, stored, UpdateInvalid)
        assert not ModelVersion.objects.exists()

    def test_it_has_one_tensor(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        two = NamedTensors({"a": np.ones(1, dtype=np.int32), "b": np.ones(1, dtype=np.int32)})
        refused(json_update(opened.round_id, "org-beta", payload=two), clock, stored, SchemaMismatch)

    @pytest.mark.parametrize("shape", [(0,), (2, 0), (1,) * 9])
    def test_it_has_a_size(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored, shape: Any
    ) -> None:
        empty = FlatValues(np.ones(shape))
        refused(json_update(opened.round_id, "org-beta", payload=empty), clock, stored, SchemaMismatch)

    def test_it_stands_for_the_next_round_even_if_the_first_failed(
        self, alpha: SimulatedOrganization, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        alpha.submit(json_update(opened.round_id, "org-alpha"))
        rounds.abort_round(round_id=opened.round_id, actor="operator", reason="x", clock=clock)
        second = rounds.start_round(actor="operator", clock=clock)
        refused(json_update(second.round_id, "org-alpha", [1.0]), clock, stored, SchemaMismatch)
        assert alpha.submit(json_update(second.round_id, "org-alpha")).pk

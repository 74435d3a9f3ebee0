"""What a Paillier round releases, whoever drops out: the mean of those who stayed, read with a key that was left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from federation.aggregation import weighting
from federation.masking import ciphertexts, scaling
from federation.masking.steps import Step
from federation.models import MaskedMean, Participant
from federation.selectors import masking as selectors
from federation.services import aggregation, reconcile
from federation.services.aggregation import whole
from federation.services.masking import sums
from federation.services.retention import discard_updates
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from ledger.models import Proposal
from models_ml import codec, registry
from privacy.paillier.errors import LayoutExceeded
from tests.federation.masking.conftest import NAMES, StartPaillier
from tests.federation.masking.means import plain_mean, released, stated_bound
from tests.support.federation import SimulatedFederation
from tests.support.masking import STEPS
from tests.support.paillier import PaillierRound

pytestmark = pytest.mark.django_db
SAMPLES = {"org-a": 17, "org-b": 1_000, "org-c": 4_099, "org-d": 70_001, "org-e": 123_457}
SEVEN = (*NAMES, "org-f", "org-g")
NINE = (*SEVEN, "org-h", "org-i")
MEDIAN = {"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "median"}}
FRAC_BITS = 16
TRUNCATED = 2 ** (24 - FRAC_BITS)
"""How much less than it was an update may be once it is in units of 2^-16, in units of 2^-24."""


def deviation(masked: PaillierRound, *names: str) -> float:
    """How far the one stored mean is from that of these updates, in units of 2^-24."""
    (mean,) = masked.training_round.masked_means.all()
    assert mean.organizations == sorted(names)
    stored = codec.flatten(codec.decode(blobs().get(mean.update_digest)))
    return float(np.abs(stored - np.mean([masked[name].update for name in names], axis=0)).max())


def finished(masked: PaillierRound) -> None:
    """From whatever was collected to a proposed model."""
    masked.answer(Step.OPEN)
    assert masked.work().status == "verifying"


def lose(masked: PaillierRound, *positions: int, step: Step) -> list[str]:
    """Let those whom the draw put there go missing from `step` on; who stays."""
    masked.answer(Step.ADVERTISE)
    drawn = masked[NAMES[0]].roster.drawn
    masked.absent = {drawn[position]: step for position in positions}
    return [name for name in masked.organizations if name not in masked.absent]


@pytest.mark.parametrize("how", ["samples", "capped"])
def test_the_opened_sum_is_the_plain_weighted_mean(start_paillier: StartPaillier, clock: ManualClock, how: str) -> None:
    masked = start_paillier(samples=SAMPLES, model_name="edge-classifier", aggregation_method="FedAvg", weighting=how)
    assert masked.add().step == Step.OPEN
    masked.answer(Step.OPEN)
    weights = dict(zip(NAMES, weighting.weights([SAMPLES[name] for name in NAMES], how).tolist(), strict=True))
    expected = plain_mean({name: masked[name].update for name in NAMES}, weights)
    difference = np.abs(released(masked, clock) - expected).max()
    shares = sum(weights.values()) / max(weights.values())
    assert difference <= stated_bound(len(NAMES), shares, float(1 << 24), FRAC_BITS)
    assert difference < np.abs(expected).mean() / 1_000


@pytest.mark.parametrize("step", STEPS[1:])
def test_the_maker_of_the_key_may_go_missing_once_it_is_drawn(start_paillier: StartPaillier, step: Step) -> None:
    masked = start_paillier()
    stay = lose(masked, 0, step=step)
    assert masked.add().step == Step.OPEN
    finished(masked)
    included = NAMES if step in {Step.CONSISTENCY, Step.UNMASK} else stay
    assert deviation(masked, *included) <= TRUNCATED + 0.5


def test_the_second_key_counts_where_the_first_is_missing(start_paillier: StartPaillier) -> None:
    masked = start_paillier()
    stay = lose(masked, 0, step=Step.SHARES)
    first, second = masked.makers
    assert masked.add().step == Step.OPEN
    assert second.public == second.held_key().public
    assert first.org_id not in stay
    finished(masked)


def test_without_any_key_the_round_fails_at_once_and_says_so(start_paillier: StartPaillier, env: Any) -> None:
    env(max_org_failure_rate=1.0)
    masked = start_paillier(SEVEN)
    lose(masked, 0, 1, step=Step.SHARES)
    assert masked.collect().status == "failed"
    assert (masked.training_round.step, masked.training_round.failure_code) == (Step.SHARES, "no_round_key")
    makers = [maker.org_id for maker in masked.makers]
    assert masked.training_round.failure_reason.endswith(f"shared it: {', '.join(makers)}")
    missed = Participant.objects.filter(status="missed").values_list("organization__org_id", flat=True)
    assert set(missed) == set(makers)


def test_the_last_holder_opens_when_the_others_are_gone(start_paillier: StartPaillier, env: Any) -> None:
    env(max_org_failure_rate=1.0)
    masked = start_paillier(SEVEN)
    lose(masked, 0, 1, step=Step.UNMASK)
    assert masked.add().step == Step.OPEN
    awaited = selectors.Collection.of(masked.training_round).awaited()
    assert awaited == {masked.holders[2].org_id}
    finished(masked)
    assert deviation(masked, *SEVEN) <= TRUNCATED + 0.5


def test_more_organizations_than_the_round_has_room_for_have_no_lane(start_paillier: StartPaillier) -> None:
    config = start_paillier()["org-a"].config
    assert config.n_max == len(config.participants) == len(NAMES)
    arrangement = ciphertexts.layout(config, registry.MODELS[config.model_name].schema.size)
    fullest = np.full(arrangement.size, scaling.bound(config))
    total = np.sum([arrangement.pack(fullest) for _ in NAMES], axis=0).tolist()
    assert (arrangement.unpack(total, config.n_max) == config.n_max * scaling.bound(config)).all()
    with pytest.raises(LayoutExceeded, match="6 parties"):
        arrangement.unpack(total, config.n_max + 1)


class Killed(BaseException):
    """Nothing in the worker catches it, as nothing catches SIGKILL."""


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`kill(masked, sums, "move")`: a worker's turn that ends when it calls that."""

    def killed(masked: PaillierRound, module: Any, name: str) -> None:
        def die(*_: Any, **__: Any) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(module, name, die)
            with pytest.raises(Killed):
                masked.work()
        assert list(reconcile.due(clock=masked.clock)) == []
        masked.clock.advance(aggregation.LEASE + timedelta(seconds=1))

    return killed


def test_a_worker_that_dies_anywhere_adds_and_opens_once(start_paillier: StartPaillier, kill: Any) -> None:
    masked = start_paillier(NAMES[:3])
    assert masked.collect().status == "aggregating"
    kill(masked, sums, "move")  # the sums are stored, the round does not know yet
    files = blob_count()
    assert masked.work().step == Step.OPEN
    assert blob_count() == files
    masked.answer(Step.OPEN)
    kill(masked, sums, "_mean")
    assert not MaskedMean.objects.exists()
    kill(masked, whole, "aggregate")  # the means are stored, the model is not
    kept = MaskedMean.objects.values().get()
    assert masked.work().status == "verifying"
    assert MaskedMean.objects.values().get() == kept
    assert Proposal.objects.filter(round_id=masked.training_round.round_id).count() == 1


def blob_count() -> int:
    return sum(path.is_file() for path in (settings.FLXDR.data_dir / "blobs").rglob("*"))


def test_a_worker_that_slept_past_its_lease_asks_for_no_second_opening(
    start_paillier: StartPaillier, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = start_paillier(NAMES[:3])
    masked.collect()
    original = ciphertexts.summed

    def slept(*arguments: Any) -> bytes:
        monkeypatch.setattr(ciphertexts, "summed", original)
        masked.clock.advance(aggregation.LEASE + timedelta(seconds=1))
        assert masked.work().step == Step.OPEN
        return original(*arguments)

    monkeypatch.setattr(ciphertexts, "summed", slept)
    masked.work()
    deadline = masked.training_round.deadline
    assert masked.refresh().deadline == deadline
    finished(masked)
    assert deviation(masked, *NAMES[:3]) <= TRUNCATED + 0.5


def test_opened_sums_are_discarded_with_the_updates(
    start_paillier: StartPaillier, federation: SimulatedFederation, clock: ManualClock
) -> None:
    masked = start_paillier(NAMES[:3])
    masked.add()
    masked.answer(Step.OPEN)
    federation.settle()
    ended = masked.refresh()
    assert ended.status == "completed"
    files = (ended.sum_digest, ended.opening_digest)
    assert all(blobs().exists(digest) for digest in files)
    clock.advance(timedelta(days=31))
    assert discard_updates(days=30, clock=clock) == [ended.round_id]
    assert not any(blobs().exists(digest) for digest in files)


def test_robust_aggregation_over_opened_buckets(start_paillier: StartPaillier) -> None:
    masked = start_paillier(
        NINE,
        model_name="edge-classifier",
        aggregation_method="RobustAggregator",
        aggregation_params={"robust_method": "median"},
        weighting="equal",
    )
    assert masked.add().step == Step.OPEN
    finished(masked)
    means = masked.training_round.masked_means.all()
    assert sorted(name for mean in means for name in mean.organizations) == list(NINE)
    for mean in means:
        stored = codec.flatten(codec.decode(blobs().get(mean.update_digest)))
        exact = np.mean([masked[name].update for name in mean.organizations], axis=0)
        assert np.abs(stored - exact).max() <= TRUNCATED + 0.5

"""Rounds with noise: charged before it is drawn, within the organisation's own limit, and once for an update."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from federation.agent import config as configuration
from federation.agent import private_training
from federation.agent.config import PrivacySection
from federation.agent.errors import CheckFailed, HomeInvalid, PrivacyLimitReached
from federation.agent.loss_ledger import MOST_CHARGES, Loss
from federation.agent.privacy_check import check_privacy
from federation.agent.state import State
from federation.agent.updates import squared_norm, with_noise
from federation.masking.honest import counted_on
from models_ml import codec
from models_ml.codec import Int32
from models_ml.errors import TooFewFlows
from models_ml.fixed_point import MAX_UPDATE_INT, SCALE
from models_ml.normalisation import RECORD_NORM
from privacy.dp.accountant import Release, epsilon_ppm
from privacy.mechanism import NO_MECHANISM, Gaussian, Mechanism, SampledGaussian
from tests.agent.conftest import ORG, Bench, MakeBench

PPM = 1_000_000
RECORD = SampledGaussian(PPM, 2 * PPM, 100_000, 10, 10**7, "flow")
MOMENTS = SampledGaussian(round(RECORD_NORM * PPM), 4 * PPM, PPM, 1, 10**7, "flow")
WHOLE = Gaussian(PPM // 20, PPM // 20, PPM // 10, 10**7, 1, "analytic")
ROUNDS = {"edge-classifier": RECORD, "edge-normaliser": MOMENTS}


class Crash(BaseException):
    """The process dies here."""


def limited(bench: Bench, **limits: Any) -> None:
    """Give the bench's agent its own privacy limit."""
    config = msgspec.structs.replace(bench.config, privacy=PrivacySection(**limits))
    bench.home.config_file.write_text(configuration.render(config))


def delta_of(bench: Bench, round_id: str) -> dict[str, Int32]:
    return codec.decode(bench.coordinator.submitted[round_id, ORG].body)


@pytest.mark.parametrize("model", ROUNDS)
def test_a_record_level_round_is_charged_declared_and_measures_nothing(bench: Bench, model: str) -> None:
    mechanism = ROUNDS[model].as_mapping()
    config = bench.coordinator.start_round(model, privacy=mechanism)
    bench.run_once()
    statement = bench.coordinator.submitted[config.round_id, ORG].statement
    assert statement["privacy"] == mechanism
    assert statement["metrics"] == {}
    (loss,) = bench.open().state.losses.losses()
    assert (loss.round_id, loss.release) == (config.round_id, ROUNDS[model].release)


def test_an_organization_level_update_is_clipped_and_then_noisy(bench: Bench) -> None:
    config = bench.coordinator.start_round("edge-classifier", privacy=WHOLE.as_mapping(), clip_norm_ppm=WHOLE.clip_ppm)
    bench.run_once()
    statement = bench.coordinator.submitted[config.round_id, ORG].statement
    assert statement["metrics"] == {}
    delta = delta_of(bench, config.round_id)
    size = sum(array.size for array in delta.values())
    norm = np.sqrt(squared_norm(delta)) / SCALE
    assert norm == pytest.approx(WHOLE.sigma_ppm / PPM * np.sqrt(size), rel=0.15)  # the noise, far above the clip
    (loss,) = bench.open().state.losses.losses()
    assert loss.release == WHOLE.release


def test_every_coordinate_gets_all_of_the_noise() -> None:
    noisy = with_noise({"a": np.zeros((200, 100), np.int32), "b": np.zeros(50, np.int32)}, WHOLE)
    assert noisy["a"].dtype == np.int32
    assert noisy["a"].std() == pytest.approx(WHOLE.sigma_ppm / PPM * SCALE, rel=0.03)
    assert np.ptp(noisy["b"]) > 0


@pytest.mark.parametrize(
    ("least", "most", "buckets", "expected"),
    [(3, 3, 0, 3), (3, 4, 0, 2), (9, 9, 0, 5), (50, 50, 0, 18), (9, 30, 3, 2)],
)
def test_noise_is_shared_among_those_who_survive_and_do_not_collude(
    least: int, most: int, buckets: int, expected: int
) -> None:
    assert counted_on(least=least, most=most, buckets=buckets) == expected


@pytest.mark.parametrize("least", range(3, 12))
@pytest.mark.parametrize("more", range(8))
def test_the_fewest_honest_ones_are_those_of_the_worst_size(least: int, more: int) -> None:
    every_size = min(2 * size // 3 + 1 - (size - 1) // 3 for size in range(least, least + more + 1))
    assert counted_on(least=least, most=least + more, buckets=0) == every_size
    assert counted_on(least=least, most=10**15, buckets=0) <= every_size  # and does not take for ever


def test_noise_never_leaves_the_range_of_an_update() -> None:
    loud = replace(WHOLE, sigma_ppm=100 * PPM)
    noisy = with_noise({"a": np.zeros(1000, np.int32)}, loud)["a"]
    assert abs(noisy.astype(np.int64)).max() == MAX_UPDATE_INT


def test_a_crash_after_the_charge_stays_spent_and_fresh_noise_is_charged_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = bench.coordinator.start_round("edge-classifier", privacy=RECORD.as_mapping())

    def die(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(private_training, "SecretCoins", die)
        with pytest.raises(Crash):
            bench.run_once()
    state = bench.open().state
    assert [loss.round_id for loss in state.losses.losses()] == [config.round_id]
    assert state.update_for(config.round_id) is None

    bench.run_once()
    losses = bench.open().state.losses.losses()
    assert [loss.release for loss in losses] == [RECORD.release] * 2
    bench.run_once()  # the kept update is sent as it is, and costs nothing
    assert len(bench.open().state.losses.losses()) == 2


@pytest.mark.parametrize("mechanism", [RECORD, WHOLE], ids=["record", "organization"])
def test_training_that_never_draws_noise_costs_nothing(bench: Bench, mechanism: Mechanism) -> None:
    flows = bench.home.folder / bench.config.data.paths[0]
    header, *lines = flows.read_text().splitlines()
    family = header.split(",").index("family")
    unlabelled = [",".join("" if at == family else cell for at, cell in enumerate(line.split(","))) for line in lines]
    flows.write_text("\n".join([header, *unlabelled]))
    clip = WHOLE.clip_ppm if mechanism is WHOLE else 0
    bench.coordinator.start_round("edge-classifier", privacy=mechanism.as_mapping(), clip_norm_ppm=clip)
    with pytest.raises(TooFewFlows):
        bench.run_once()
    assert bench.open().state.losses.losses() == []


def test_a_round_that_fails_again_and_again_does_not_spend_everything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = bench.coordinator.start_round("edge-classifier", privacy=RECORD.as_mapping())

    def die(*_: object, **__: object) -> None:
        raise Crash

    monkeypatch.setattr(private_training, "SecretCoins", die)
    for _ in range(MOST_CHARGES):
        with pytest.raises(Crash):
            bench.run_once()
    with pytest.raises(PrivacyLimitReached, match="charged 3 times"):
        bench.run_once()
    assert [loss.round_id for loss in bench.open().state.losses.losses()] == [config.round_id] * MOST_CHARGES


def test_nothing_is_drawn_beyond_the_own_limit_whatever_the_coordinator_says(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = epsilon_ppm([RECORD.release], 1e-5) / PPM
    limited(bench, epsilon=once * 1.01)
    bench.coordinator.start_round("edge-classifier", privacy=RECORD.as_mapping())
    bench.run_once()
    second = bench.coordinator.start_round("edge-classifier", privacy=RECORD.as_mapping())
    monkeypatch.setattr(private_training, "SecretCoins", lambda: pytest.fail("noise was drawn"))
    with pytest.raises(PrivacyLimitReached, match="would bring"):
        bench.run_once()
    assert (second.round_id, ORG) not in bench.coordinator.submitted
    assert len(bench.open().state.losses.losses()) == 1


def test_the_budget_command_shows_the_own_account(bench: Bench) -> None:
    before = bench.cli_json("privacy", "budget")
    assert (before["epsilon_used"], before["epsilon_limit"], before["releases"]) == (0.0, 10.0, [])
    config = bench.coordinator.start_round("edge-classifier", privacy=RECORD.as_mapping())
    bench.run_once()
    after = bench.cli_json("privacy", "budget")
    assert after["epsilon_used"] == epsilon_ppm([RECORD.release], 1e-5) / PPM
    assert after["epsilon_used"] + after["epsilon_remaining"] == pytest.approx(10.0)
    (release,) = after["releases"]
    assert release["round_id"] == config.round_id
    assert (release["sampling_ppm"], release["steps"]) == (100_000, 10)


def test_rows_of_the_account_are_never_changed(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    state.losses.reserve("round-1", RECORD.release, limit=PrivacySection(), at="2026-01-01")
    state.close()
    with sqlite3.connect(tmp_path / "state.db") as db:
        for statement in ("UPDATE privacy_loss SET sigma_ppm = 10000000000", "DELETE FROM privacy_loss"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
    db.close()
    again = State(tmp_path / "state.db")
    assert again.losses.losses() == [Loss("round-1", RECORD.release, "2026-01-01")]
    again.close()


def test_a_home_of_the_version_before_gets_an_empty_account(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State(path).close()
    with sqlite3.connect(path) as db:
        for table in ("privacy_loss", "masked_step", "masked_round"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version = 2")
    db.close()
    state = State(path)
    assert state.losses.losses() == []
    state.losses.reserve("round-1", Release(1, 1), limit=PrivacySection(epsilon=100.0), at="2026-01-01")
    state.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 4")
    db.close()
    with pytest.raises(HomeInvalid, match="version 4"):
        State(path)


@pytest.mark.parametrize(
    ("model", "mechanism", "changes"),
    [
        pytest.param("edge-classifier", replace(WHOLE, sensitivity_ppm=1), {}, id="less sensitivity than the clip"),
        pytest.param("edge-classifier", WHOLE, {"clip_norm_ppm": 0}, id="no clip"),
        pytest.param("edge-classifier", WHOLE, {"clip_norm_ppm": PPM}, id="another clip"),
        pytest.param("edge-classifier", replace(WHOLE, shares=3), {}, id="a share of the noise in the clear"),
        pytest.param(
            "edge-classifier",
            replace(WHOLE, shares=4),
            {"protection": "secagg", "frac_bits": 22, "step_seconds": 60, "min_orgs": 3, "n_max": 3},
            id="more shares than honest organizations",
        ),
        pytest.param("edge-classifier", replace(RECORD, steps=10_000), {}, id="more epochs than allowed"),
        pytest.param("edge-normaliser", RECORD, {}, id="moments of a sample"),
    ],
)
def test_noise_that_is_not_what_it_claims_is_refused(
    bench: Bench, model: str, mechanism: Mechanism, changes: dict[str, Any]
) -> None:
    clip = WHOLE.clip_ppm if isinstance(mechanism, Gaussian) else 0
    declared: dict[str, Any] = {"privacy": mechanism.as_mapping(), "clip_norm_ppm": clip}
    config = bench.coordinator.start_round(model, **(declared | changes))
    with pytest.raises(CheckFailed):
        check_privacy(config, bench.config)
    with pytest.raises(CheckFailed):
        bench.run_once()
    assert bench.open().state.losses.losses() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"privacy": []},
        {"privacy": [["mechanism", "none"]]},
        {"privacy": None},
        {"privacy": {"mechanism": ["none"]}},
        {"privacy": WHOLE.as_mapping() | {"calibration": []}},
        {"clip_norm_ppm": "1"},
        {"clip_norm_ppm": True},
        {"min_orgs": None},
        {"n_max": "3"},
        {"masking_buckets": 1.0},
    ],
    ids=str,
)
def test_a_configuration_of_other_types_is_refused_by_a_message(bench: Bench, changes: dict[str, Any]) -> None:
    config = bench.coordinator.start_round("edge-classifier", privacy=WHOLE.as_mapping(), clip_norm_ppm=WHOLE.clip_ppm)
    with pytest.raises(CheckFailed):
        check_privacy(replace(config, **changes), bench.config)


@pytest.mark.parametrize(
    ("units", "mechanism", "accepted"),
    [
        (("record",), RECORD, True),
        (("record",), None, False),
        (("record",), WHOLE, False),
        (("organization",), RECORD, False),
        (("organization", "record"), WHOLE, True),
        (("none",), None, True),
    ],
)
def test_the_agent_trains_only_for_rounds_that_protect_what_it_asks(
    make_bench: MakeBench, units: tuple[Any, ...], mechanism: Mechanism | None, accepted: bool
) -> None:
    bench = make_bench()
    limited(bench, units=units)
    declared = NO_MECHANISM if mechanism is None else mechanism.as_mapping()
    clip = WHOLE.clip_ppm if mechanism is WHOLE else 0
    config = bench.coordinator.start_round("edge-classifier", privacy=declared, clip_norm_ppm=clip)
    if accepted:
        bench.run_once()
    else:
        with pytest.raises(CheckFailed, match="protects"):
            bench.run_once()
    assert ((config.round_id, ORG) in bench.coordinator.submitted) == accepted

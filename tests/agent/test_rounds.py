"""Rounds: what is checked before training, what is kept, and that a crash never makes a second update."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from federation import statements
from federation.agent import chain, training
from federation.agent.errors import CheckFailed, Unreachable
from federation.agent.records import Records, RecordSource
from federation.agent.round_check import read_round
from federation.round_config import LocalTraining, RoundConfig
from models_ml import codec, registry
from tests.agent.conftest import ORG, Bench, MakeBench

LOCAL = LocalTraining(epochs=2, batch_size=16, learning_rate_ppm=50_000, proximal_ppm=0)


def posts(bench: Bench) -> list[httpx.Request]:
    return [request for request in bench.coordinator.requests if request.url.path.endswith("submit-gradient")]


@pytest.mark.parametrize("model", ["edge-normaliser", "edge-classifier"])
def test_an_update_is_signed_canonical_and_bound_to_its_round(bench: Bench, model: str) -> None:
    config = bench.coordinator.start_round(model)
    bench.run_once()

    submitted = bench.coordinator.submitted[config.round_id, ORG]
    codec.check_schema(codec.decode(submitted.body), registry.MODELS[model].schema)
    statement = submitted.statement
    assert statement["config_hash"] == config.config_hash
    assert statement["chain_id"] == bench.coordinator.genesis
    assert statement["parent_hash"] == config.parent_hash
    assert statement["wire_digest"] == hashlib.sha256(submitted.body).hexdigest()
    assert (statement["kind"], statement["samples"]) == ("delta", 204)
    assert statement["privacy"] == {"mechanism": "none"}
    kept = bench.open().state.update_for(config.round_id)
    assert kept is not None
    assert kept.outcome == "accepted"


def test_what_is_reported_was_measured_on_later_records(bench: Bench) -> None:
    config = bench.coordinator.start_round("edge-classifier")
    bench.run_once()
    metrics = bench.coordinator.submitted[config.round_id, ORG].statement["metrics"]
    assert metrics.keys() == {"loss", "accuracy", "macro_binary_f1", "sanitization_rate"}
    assert metrics["sanitization_rate"] == 409_091  # of 22 columns 7 are not read, and 2 are hosts
    assert metrics["accuracy"] > 900_000


def test_nothing_is_sent_twice(bench: Bench) -> None:
    bench.coordinator.start_round("edge-normaliser")
    bench.run_once()
    bench.run_once()
    assert len(posts(bench)) == 1


OfferLie = Callable[[dict[str, Any]], dict[str, Any]]


def with_config(change: Callable[[bytes], bytes]) -> OfferLie:
    return lambda offer: offer | {"config": base64.b64encode(change(base64.b64decode(offer["config"]))).decode()}


@pytest.mark.parametrize(
    "lie",
    [
        with_config(lambda data: data.replace(b'"epochs":2', b'"epochs":3')),
        with_config(lambda data: data + b" "),
        lambda offer: offer | {"config_hash": "0" * 64},
        lambda offer: offer | {"round_id": "another"},
        lambda offer: offer | {"config": "%"},
        lambda offer: {name: value for name, value in offer.items() if name != "config"},
    ],
)
def test_a_tampered_offer_is_refused(bench: Bench, lie: OfferLie) -> None:
    bench.coordinator.start_round("edge-normaliser")
    bench.coordinator.lie["federation/round/current"] = lambda _, answer: answer | {"round": lie(answer["round"])}
    with pytest.raises(CheckFailed):
        bench.run_once()
    assert posts(bench) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": "0" * 64},
        {"participants": ("org-b", "org-c")},
        {"model_name": "global", "model_schema": None},
        {"frac_bits": 16},
        {"max_abs": 64},
        {"protection": "secagg"},
        {"privacy": {"mechanism": "gaussian"}},
        {"clip_norm_ppm": -1},
        {"local": LocalTraining(epochs=101, batch_size=16, learning_rate_ppm=1, proximal_ppm=0)},
        {"local": LocalTraining(epochs=0, batch_size=16, learning_rate_ppm=1, proximal_ppm=0)},
        {"local": LocalTraining(epochs=1, batch_size=10**6, learning_rate_ppm=1, proximal_ppm=0)},
        {"local": LocalTraining(epochs=1, batch_size=16, learning_rate_ppm=2_000_000, proximal_ppm=0)},
        {"local": LocalTraining(epochs="1", batch_size=16, learning_rate_ppm=1, proximal_ppm=0)},  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_a_round_outside_the_bounds_is_refused(bench: Bench, changes: dict[str, Any]) -> None:
    config = bench.coordinator.start_round("edge-normaliser", **changes)
    offer = {
        "round_id": config.round_id,
        "config": base64.b64encode(config.encode()).decode(),
        "config_hash": config.config_hash,
    }
    with pytest.raises(CheckFailed):
        read_round(offer, chain_id=bench.coordinator.genesis, config=bench.config)


@pytest.mark.parametrize(
    "changes",
    [
        {"parent_hash": "0" * 64},
        {"parent_hash": None},
        {"parent_version": 1},
        {"model_schema": (("mean", (3,)),)},
        {
            "local": LocalTraining(
                epochs=2, batch_size=16, learning_rate_ppm=1, proximal_ppm=0, normaliser_hash="0" * 64
            )
        },
    ],
    ids=str,
)
def test_a_round_from_anything_but_the_verified_chain_is_refused(bench: Bench, changes: dict[str, Any]) -> None:
    bench.coordinator.start_round("edge-classifier", **changes)
    with pytest.raises(CheckFailed):
        bench.run_once()
    assert posts(bench) == []


def test_a_crash_before_the_answer_sends_the_same_bytes_and_statement_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = bench.coordinator.start_round("edge-classifier")

    def drop(_: httpx.Request, __: Any) -> Any:
        raise httpx.ReadError("connection lost")

    bench.coordinator.lie["federation/round/submit-gradient"] = drop
    with pytest.raises(Unreachable):
        bench.run_once()
    first = bench.coordinator.submitted.pop((config.round_id, ORG))

    bench.coordinator.lie.clear()
    monkeypatch.setattr(training, "task_for", lambda _: pytest.fail("trained again"))
    bench.run_once()
    second = bench.coordinator.submitted[config.round_id, ORG]
    assert (second.body, second.header) == (first.body, first.header)
    tokens = {request.headers["Authorization"] for request in posts(bench)}
    assert len(tokens) == len(posts(bench)) == 4


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("step", ["files.write_durably", "submit"])
def test_a_kill_around_the_preparation_leaves_one_update(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    config = bench.coordinator.start_round("edge-normaliser")

    def die(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(f"federation.agent.training.{step}", die)
        with pytest.raises(Crash):
            bench.run_once()
    assert posts(bench) == []
    prepared = bench.open().state.update_for(config.round_id)
    assert (prepared is None) == (step != "submit")

    bench.run_once()
    body = bench.coordinator.submitted[config.round_id, ORG].body
    if prepared is not None:
        assert hashlib.sha256(body).hexdigest() == prepared.wire_digest


def test_preparing_again_gives_the_kept_update(bench: Bench) -> None:
    config = bench.coordinator.start_round("edge-normaliser")
    agent = bench.open()
    chain.follow(agent)
    records = RecordSource(agent.config.data, agent.home.folder, agent.key).load()
    first = training.prepare(agent, config, records)
    swapped = Records(records.validation, records.training, ())
    assert training.prepare(agent, config, swapped) == first


def test_a_kept_update_that_is_damaged_is_given_up_and_never_made_anew(bench: Bench) -> None:
    config = bench.coordinator.start_round("edge-normaliser")
    bench.coordinator.lie["federation/round/submit-gradient"] = lambda _, __: httpx.Response(503)
    with pytest.raises(Unreachable):
        bench.run_once()
    bench.coordinator.submitted.clear()
    bench.coordinator.lie.clear()
    (kept,) = bench.home.outbox.iterdir()
    kept.write_bytes(b"damaged")

    bench.run_once()
    bench.run_once()
    assert (config.round_id, ORG) not in bench.coordinator.submitted
    found = bench.open().state.update_for(config.round_id)
    assert found is not None
    assert found.outcome == "refused"
    assert "damaged" in found.detail


def test_a_closed_round_is_remembered_as_refused(bench: Bench) -> None:
    config = bench.coordinator.start_round("edge-normaliser")
    bench.coordinator.lie["federation/round/submit-gradient"] = lambda _, __: httpx.Response(
        409, json={"code": "round_closed", "detail": "the deadline has passed"}
    )
    bench.run_once()
    bench.run_once()
    assert len(posts(bench)) == 1
    found = bench.open().state.update_for(config.round_id)
    assert found is not None
    assert (found.outcome, "the deadline has passed" in found.detail) == ("refused", True)


def test_another_digest_in_the_confirmation_is_refused(bench: Bench) -> None:
    bench.coordinator.start_round("edge-normaliser")
    bench.coordinator.lie["federation/round/submit-gradient"] = lambda _, answer: (
        answer | {"submission_digest": "0" * 64}
    )
    with pytest.raises(CheckFailed, match="confirms"):
        bench.run_once()


def test_a_round_of_another_model_does_not_hide_ones_own(make_bench: MakeBench) -> None:
    bench = make_bench(models=("edge-normaliser",))
    wanted = bench.coordinator.start_round("edge-normaliser")
    foreign = {"round_id": "g", "model_name": "global", "status": "in_progress", "submitted": False, "awaited": True}

    def current(request: httpx.Request, answer: dict[str, Any]) -> dict[str, Any]:
        return answer if "model" in request.url.params else answer | {"round": foreign}

    bench.coordinator.lie["federation/round/current"] = current
    bench.run_once()
    assert (wanted.round_id, ORG) in bench.coordinator.submitted


def test_the_update_of_a_clipped_round_lies_within_its_bound(bench: Bench) -> None:
    config = bench.coordinator.start_round("edge-classifier", clip_norm_ppm=250_000)
    bench.run_once()
    delta = codec.decode(bench.coordinator.submitted[config.round_id, ORG].body)
    norm = sum(float((array.astype(float) ** 2).sum()) for array in delta.values()) ** 0.5 / 2**24
    assert 0.2499 < norm <= 0.25


def test_the_seed_is_the_rounds_and_the_organisations_own(bench: Bench) -> None:
    agent = bench.open()
    first = RoundConfig.decode(bench.coordinator.start_round("edge-classifier").encode())
    second = RoundConfig.decode(bench.coordinator.start_round("edge-classifier", min_orgs=2).encode())
    assert training.seed_of(agent, first) == training.seed_of(agent, first)
    assert training.seed_of(agent, first) != training.seed_of(agent, second)


def test_the_signature_is_that_of_the_registered_key(bench: Bench) -> None:
    config = bench.coordinator.start_round("edge-normaliser")
    bench.run_once()
    envelope = statements.Envelope.from_compact(bench.coordinator.submitted[config.round_id, ORG].header)
    assert envelope.key_id == bench.key.public.key_id

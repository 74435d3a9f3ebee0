"""Withdrawn releases: the agent learns of them from the verified chain and goes back to what stands."""

from __future__ import annotations

import pytest

from federation.agent.errors import CheckFailed
from ledger.chain.entries import WithdrawRelease
from tests.agent.conftest import Bench
from tests.agent.test_reviews import CLASSIFIER, NORMALISER, decisions, released, train


def releases(bench: Bench, count: int) -> list[str]:
    """The hashes of so many releases of the classifier, each trained from the one before."""
    for _ in range(count):
        released(bench, CLASSIFIER)
    bench.run_once()
    chain = bench.coordinator.state.releases[CLASSIFIER]
    return [release.model_hash for release in chain.standing]


def withdraw(bench: Bench, version: int, model: str = CLASSIFIER) -> None:
    release = next(one for one in bench.coordinator.state.releases[model].standing if one.version == version)
    bench.coordinator.govern(
        WithdrawRelease(
            model_name=model, model_version=version, model_hash=release.model_hash, reason="it misses scans"
        )
    )


def test_the_newest_standing_release_is_evaluated(bench: Bench) -> None:
    first, second, third = releases(bench, 3)
    withdraw(bench, 2)
    assert bench.cli_json("evaluate", "latest")["model_hash"] == first
    bad = bench.cli("evaluate", third, "--json")
    assert '"withdrawn":true' in bad.stdout
    assert "to be used no more" in bad.stderr
    shown = bench.cli_json("status")["releases"][CLASSIFIER]
    assert shown == {"version": 1, "model_hash": first, "newest": 3}
    assert "version 1" in (text := bench.cli("status").stdout)
    assert "versions up to 3 are withdrawn" in text
    assert second not in text


def test_the_next_release_continues_what_stands(bench: Bench) -> None:
    first, *_ = releases(bench, 3)
    withdraw(bench, 2)
    config = train(bench, CLASSIFIER)
    assert (config.parent_hash, config.parent_version) == (first, 1)
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    assert decisions(bench)[-1] == (proposal["id"], "approve")
    bench.coordinator.seal_proposal(proposal)
    bench.run_once()
    newest = bench.open().state.newest_release(CLASSIFIER)
    assert newest is not None
    assert newest.model_version == 4


def test_after_all_were_withdrawn_the_model_begins_anew(bench: Bench) -> None:
    releases(bench, 1)
    withdraw(bench, 1)
    refused = bench.cli("evaluate", "latest")
    assert refused.exit_code == 1
    assert "none stands" in bench.cli("status").stdout
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release()
    bench.run_once()
    assert decisions(bench)[-1][1] == "approve"


def test_a_release_was_built_on_what_its_round_named(bench: Bench) -> None:
    released(bench, NORMALISER)
    normaliser = bench.coordinator.state.releases[NORMALISER].newest.model_hash
    config = train(bench, CLASSIFIER, normaliser=normaliser)
    released(bench, NORMALISER)  # while the round is under way
    bench.coordinator.config = config
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    bench.coordinator.seal_proposal(proposal)
    assert bench.cli_json("evaluate", "latest")["basis"] == {NORMALISER: normaliser}


def test_no_update_for_a_round_from_a_withdrawn_parent(bench: Bench) -> None:
    second = releases(bench, 2)[1]
    withdraw(bench, 2)
    bench.coordinator.start_round(CLASSIFIER, parent_hash=second, parent_version=2)
    with pytest.raises(CheckFailed, match="starts from version 2"):
        bench.run_once()


def test_no_update_for_a_round_with_a_withdrawn_normaliser(bench: Bench) -> None:
    released(bench, NORMALISER)
    normaliser = bench.coordinator.state.releases[NORMALISER].newest.model_hash
    withdraw(bench, 1, NORMALISER)
    bench.coordinator.start_round(CLASSIFIER, normaliser=normaliser)
    with pytest.raises(CheckFailed, match="no release that stands"):
        bench.run_once()

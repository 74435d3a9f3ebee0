"""The agent that goes on: what passes is tried again, what does not ends it, and it never spins."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from federation.agent.errors import ChainContradiction, CheckFailed, ExitCode
from federation.agent.loop import IDLE_SECONDS, SENT_AWAY_AT_MOST, Runner
from federation.agent.records import RecordSource
from flxdr.core.keys import Algorithm, PrivateKey
from tests.agent.conftest import ORG, Bench, MakeBench

NORMALISER = "edge-normaliser"


class Enough(BaseException):
    """The test has seen enough."""


def run_for(bench: Bench, polls: int, between: Callable[[int], None] = lambda _: None) -> None:
    """Run until the agent has looked `polls` times; `between` is called before each look's answer."""
    seen = 0

    def count(_: httpx.Request, answer: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen > polls:
            raise Enough
        between(seen)
        return answer

    bench.coordinator.lie["federation/round/current"] = count
    agent = bench.open()
    records = RecordSource(agent.config.data, agent.home.folder, agent.key)
    with pytest.raises(Enough):
        Runner(agent, records, pause=bench.pauses.append, once=False).run()


def test_without_a_place_to_wait_it_comes_back_as_told_and_looks_at_the_chain_now_and_then(bench: Bench) -> None:
    asked: list[str] = []

    def full(request: httpx.Request, answer: Any) -> Any:
        asked.append(request.url.params["wait"])
        if len(asked) > 6:
            raise Enough
        return answer if asked[-1] == "0" else httpx.Response(204, headers={"Retry-After": "7"})

    bench.coordinator.lie["federation/round/current"] = full
    agent = bench.open()
    records = RecordSource(agent.config.data, agent.home.folder, agent.key)
    with pytest.raises(Enough):
        Runner(agent, records, pause=bench.pauses.append, once=False).run()
    assert asked == ["25"] * SENT_AWAY_AT_MOST + ["0"] + ["25"] * 2
    told = [pause for pause in bench.pauses if pause != IDLE_SECONDS]
    assert len(told) == SENT_AWAY_AT_MOST + 1
    assert all(7 <= pause <= 7 * 1.25 for pause in told)


def test_it_waits_in_the_coordinator_and_pauses_when_that_answers_at_once(bench: Bench) -> None:
    run_for(bench, 3)
    waits = [r.url.params["wait"] for r in bench.coordinator.requests if r.url.path.endswith("/current")]
    assert waits == ["25"] * 4
    assert bench.pauses == [IDLE_SECONDS] * 3


def test_it_is_less_patient_while_an_approved_block_is_to_be_sealed(make_bench: MakeBench) -> None:
    bench = make_bench(admissions="auto")
    proposal = bench.coordinator.propose_admission("org-c", PrivateKey.generate(Algorithm.ED25519))

    def seal(poll: int) -> None:
        if poll == 3:  # after this poll's answer was made
            bench.coordinator.seal_proposal(proposal)

    run_for(bench, 4, seal)
    waits = [r.url.params["wait"] for r in bench.coordinator.requests if r.url.path.endswith("/current")]
    assert waits == ["25", "3", "3", "3", "25"]
    state = bench.open().state.chain()
    assert state is not None
    assert state.height == 3


def test_a_failure_that_may_pass_is_said_once_and_tried_again(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    config = bench.coordinator.start_round(NORMALISER)
    path = "federation/round/submit-gradient"
    bench.coordinator.lie[path] = lambda _, __: httpx.Response(401, json={"detail": "clock"})

    def heal(poll: int) -> None:
        bench.coordinator.submitted.clear()
        if poll == 4:
            del bench.coordinator.lie[path]

    run_for(bench, 4, heal)
    assert (config.round_id, ORG) in bench.coordinator.submitted
    assert capsys.readouterr().err.count("clock") == 1


def test_a_round_that_is_refused_does_not_stop_the_votes(make_bench: MakeBench) -> None:
    bench = make_bench(admissions="auto")
    bench.coordinator.start_round(NORMALISER, protection="secagg")
    bench.coordinator.propose_admission("org-c", PrivateKey.generate(Algorithm.ED25519))
    run_for(bench, 2)
    assert [verb for _, verb, _ in bench.coordinator.votes] == ["approve"]
    assert bench.coordinator.submitted == {}


def test_a_chain_that_goes_back_ends_the_run(bench: Bench) -> None:
    agent = bench.open()
    records = RecordSource(agent.config.data, agent.home.folder, agent.key)
    bench.run_once(agent)
    del bench.coordinator.records[-1]
    with pytest.raises(ChainContradiction):
        Runner(agent, records, pause=bench.pauses.append, once=False).run()


def test_a_bad_block_ends_the_run(bench: Bench) -> None:
    bench.coordinator.lie["blockchain/ledger/export"] = lambda _, answer: {"records": answer["records"][1:]}
    agent = bench.open()
    records = RecordSource(agent.config.data, agent.home.folder, agent.key)
    with pytest.raises(CheckFailed):
        Runner(agent, records, pause=bench.pauses.append, once=False).run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly(bench: Bench, number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def interrupt(_: httpx.Request, answer: Any) -> Any:
        os.kill(os.getpid(), number)
        return answer

    bench.coordinator.lie["federation/round/current"] = interrupt
    result = bench.cli("run", "--json")
    assert result.exit_code == ExitCode.OK
    assert '"stopped"' in result.stdout
    assert signal.getsignal(number) is before

"""The agent as witness: what it holds, cosigns and refuses, and what shows that a coordinator tells two histories."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from datetime import timedelta
from typing import Any

import pytest

from federation.agent import chain
from federation.agent.errors import ChainContradiction, CheckFailed, ExitCode
from flxdr.core.keys import Algorithm
from ledger.chain import merkle
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.cosignature import cosigners
from ledger.chain.record import ChainRecord
from ledger.chain.verify import verify_chain
from tests.agent.conftest import ORG, PEER, Bench, MakeBench
from tests.agent.witnessing import CHECKPOINT, COSIGNATURES, another_history, asked, attend, fresh
from tests.ledger.checkpoints import checkpoint_document

KILLED = 77


class Killed(BaseException):
    """The process ended here."""


def root(records: list[ChainRecord]) -> bytes:
    return merkle.root([record.header for record in records])


def test_it_holds_and_cosigns_what_it_verified(bench: Bench) -> None:
    agent = bench.open()
    assert attend(agent)
    held = agent.state.witness.held()
    assert held is not None
    assert (held.size, held.root, held.sent) == (3, root(bench.coordinator.records), True)
    shown, state = HeldCheckpoint.from_json(bench.coordinator.checkpoint({})), bench.coordinator.state
    assert cosigners(shown.signed, shown.witnesses, state.keys.members, chain_id=state.chain_id) == ([ORG], [])
    assert not attend(agent)
    assert len(asked(bench, COSIGNATURES)) == 1


def test_its_checkpoint_is_a_file_to_verify_by(bench: Bench) -> None:
    agent = bench.open()
    attend(agent)
    data = agent.home.checkpoint_file.read_bytes()
    bench.coordinator.admit("org-c", fresh())
    report = verify_chain(bench.coordinator.records, tree=TreeWatch([HeldCheckpoint.read(data)])).report
    assert (report.chain_valid, report.unanchored) == (True, 1)
    assert bench.cli_json("verify", "--checkpoint", str(agent.home.checkpoint_file))["chain_valid"]


def test_verify_compares_with_what_is_held(bench: Bench) -> None:
    attend(bench.open())
    bench.coordinator.admit("org-c", fresh())
    assert bench.cli_json("verify")["last_good_checkpoint"]["size"] == 3


def test_it_asks_for_the_way_from_what_it_holds(bench: Bench) -> None:
    attend(bench.open())
    assert not asked(bench, "consistency")
    for name in ("org-c", "org-d"):
        bench.coordinator.admit(name, fresh())
    attend(bench.open())
    (request,) = asked(bench, "consistency")
    assert dict(request.url.params) == {"from": "3", "to": "5"}


@pytest.mark.parametrize("proof", [[], ["00" * 32], ["x"], None])
def test_a_way_that_does_not_lead_there_is_not_cosigned(bench: Bench, proof: Any) -> None:
    attend(bench.open())
    bench.coordinator.admit("org-c", fresh())
    bench.coordinator.lie["blockchain/proof/consistency"] = lambda _request, _answer: {"proof": proof}
    with pytest.raises(CheckFailed):
        attend(bench.open())
    held = bench.open().state.witness.held()
    assert held is not None
    assert held.size == 3
    assert list(bench.coordinator.cosigned) == [3]


def test_killed_between_persisting_and_answering_it_sends_the_same(bench: Bench) -> None:
    bench.coordinator.lie[COSIGNATURES] = lambda _request, _answer: os._exit(KILLED)
    process = os.fork()
    if process == 0:
        try:
            attend(bench.open())
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == KILLED
    held = bench.open().state.witness.held()
    assert held is not None
    assert held.cosignature is not None
    assert not held.sent
    bench.coordinator.lie.clear()
    bench.coordinator.clock.advance(timedelta(hours=1))
    assert attend(bench.open())
    (request,) = asked(bench, COSIGNATURES)
    assert json.loads(request.content)["cosignature"] == held.cosignature.rstrip("\n")


def test_killed_before_persisting_nothing_was_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: Any) -> None:
        raise Killed

    agent = bench.open()
    monkeypatch.setattr(agent.state.witness, "hold", kill)
    with pytest.raises(Killed):
        attend(agent)
    assert not asked(bench, COSIGNATURES)
    assert bench.open().state.witness.held() is None


def test_a_log_that_goes_back_is_refused(bench: Bench) -> None:
    attend(bench.open())
    old = checkpoint_document(bench.coordinator.records, 2, coordinator=bench.coordinator.key)
    bench.coordinator.admit("org-c", fresh())
    bench.coordinator.lie[CHECKPOINT] = lambda _request, _answer: old
    with pytest.raises(ChainContradiction):
        attend(bench.open())
    assert list(bench.coordinator.cosigned) == [3]


def test_a_chain_that_goes_back_is_not_cosigned(bench: Bench) -> None:
    bench.coordinator.admit("org-c", fresh())
    attend(bench.open())
    del bench.coordinator.records[-1]
    with pytest.raises(ChainContradiction, match="went back"):
        attend(bench.open())
    assert list(bench.coordinator.cosigned) == [4]


class TestAnotherHistory:
    """The log signs another root of a size that the agent knows."""

    @pytest.fixture
    def lied_to(self, bench: Bench) -> Bench:
        attend(bench.open())
        bench.coordinator.admit("org-c", fresh())
        other = another_history(bench)
        document = checkpoint_document(other, 4, coordinator=bench.coordinator.key)
        bench.coordinator.lie[CHECKPOINT] = lambda _request, _answer: document
        return bench

    def test_it_is_never_cosigned(self, lied_to: Bench) -> None:
        with pytest.raises(ChainContradiction, match="two histories"):
            attend(lied_to.open())
        assert list(lied_to.coordinator.cosigned) == [3]
        held = lied_to.open().state.witness.held()
        assert held is not None
        assert held.size == 3

    def test_both_notes_are_kept_as_files_to_verify_by(self, lied_to: Bench) -> None:
        with pytest.raises(ChainContradiction) as caught:
            attend(lied_to.open())
        files = sorted(lied_to.home.evidence.iterdir())
        assert [file.name[:13] for file in files] == ["checkpoint-3-", "checkpoint-4-"]
        assert all(str(file) in (caught.value.action or "") for file in files)
        records = lied_to.coordinator.records
        reports = [
            verify_chain(records, tree=TreeWatch([HeldCheckpoint.read(file.read_bytes())])).report for file in files
        ]
        assert [report.chain_valid for report in reports] == [True, False]
        assert reports[1].first_bad is not None
        assert reports[1].first_bad.code == "checkpoint_root_mismatch"

    def test_the_running_agent_stops(self, lied_to: Bench) -> None:
        assert lied_to.cli("run").exit_code == ExitCode.CHAIN_CONTRADICTS

    def test_nothing_is_approved(self, lied_to: Bench) -> None:
        lied_to.coordinator.propose_admission("org-d", fresh())
        assert lied_to.cli("approve", "1").exit_code == ExitCode.CHAIN_CONTRADICTS
        with pytest.raises(ChainContradiction):
            lied_to.run_once()
        assert lied_to.coordinator.votes == []

    def test_somebody_elses_note_proves_nothing(self, lied_to: Bench) -> None:
        other = another_history(lied_to)
        document = checkpoint_document(other, 4, coordinator=fresh())
        lied_to.coordinator.lie[CHECKPOINT] = lambda _request, _answer: document
        with pytest.raises(CheckFailed, match="not the log's"):
            attend(lied_to.open())
        assert not lied_to.home.evidence.exists()


def test_the_witness_key_is_made_once_and_private(bench: Bench) -> None:
    key = bench.home.witness_key()
    assert bench.home.witness_key().seed == key.seed
    assert key.algorithm is Algorithm.ED25519
    assert key.public != bench.key.public
    assert stat.S_IMODE(bench.home.witness_key_file.stat().st_mode) == 0o600


def test_an_organisation_that_is_no_member_holds_without_cosigning(make_bench: MakeBench) -> None:
    bench = make_bench(enrolled=False)
    bench.coordinator.admit(PEER, fresh())
    bench.open().state.set_pin("chain_id", bench.coordinator.genesis)
    bench.coordinator.peers[ORG] = bench.key
    assert not attend(bench.open())
    held = bench.open().state.witness.held()
    assert held is not None
    assert (held.size, held.cosignature) == (2, None)
    assert not asked(bench, COSIGNATURES)


@pytest.mark.parametrize("blocks", [0, 3])
def test_a_state_file_from_before_gets_its_tree_and_its_lineages(bench: Bench, blocks: int) -> None:
    agent = bench.open()
    now = chain.follow(agent).as_json() if blocks else None
    agent.state.close()
    with sqlite3.connect(bench.home.state_file) as db:
        db.executescript(
            "DROP TABLE node; DROP TABLE checkpoint; DROP TABLE masked_step; DROP TABLE masked_round;"
            "DROP TABLE privacy_loss;"
            "PRAGMA user_version = 1"
        )
        before = {**(now or {}), "v": 1, "releases": {}}
        before.pop("retired", None)
        db.execute("UPDATE chain SET state = ?", (json.dumps(before),))
    db.close()
    again = bench.open()
    upgraded = again.state.chain()
    assert (upgraded and upgraded.as_json()) == now
    chain.follow(again)
    assert again.state.witness.root(3) == root(bench.coordinator.records)
    assert attend(again)


def test_the_tree_of_every_size_is_known(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "PAGE", 2)
    for number in range(5):
        bench.coordinator.admit(f"org-{number}", fresh())
    agent = bench.open()
    chain.follow(agent)
    for size in range(1, 9):
        assert agent.state.witness.root(size) == root(bench.coordinator.records[:size])
    with pytest.raises(KeyError):
        agent.state.witness.root(9)


@pytest.mark.parametrize("answer", [{}, {"note": "x", "log_key_statement": {}}, {"note": 1}])
def test_an_answer_that_is_no_checkpoint(bench: Bench, answer: dict[str, Any]) -> None:
    bench.coordinator.lie[CHECKPOINT] = lambda _request, _answer: answer
    with pytest.raises(CheckFailed):
        attend(bench.open())

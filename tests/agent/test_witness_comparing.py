"""What others cosigned: compared, so that a coordinator with two histories is found out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation.agent.config import AgentConfig, CoordinatorSection
from federation.agent.errors import ChainContradiction, CheckFailed, ExitCode
from federation.agent.home import Home
from flxdr.core.keys import Algorithm
from ledger.chain.record import ChainRecord
from tests.agent.conftest import ORG, PEER, Bench, MakeBench
from tests.agent.witnessing import CHECKPOINT, another_history, asked, attend, cosigned_by_peer, fresh


class TestOthersCosignatures:
    def test_they_are_remembered_until_everybody_has_cosigned(self, bench: Bench) -> None:
        attend(bench.open())
        document = cosigned_by_peer(bench, bench.coordinator.records)
        bench.coordinator.cosigned[3][PEER] = {
            "cosignature": document["note"].splitlines()[-1],
            "witness_key_statement": document["witnesses"][0]["witness_key_statement"],
        }
        for _ in range(3):
            attend(bench.open())
        held = bench.open().state.witness.held()
        assert held is not None
        assert (held.cosigned_size, held.cosigned_by) == (3, (ORG, PEER))
        assert len([request for request in asked(bench, CHECKPOINT) if "cosigned" in request.url.params]) == 2
        status = bench.cli_json("status")
        assert status["checkpoint"] == {"size": 3, "root_hash": held.root.hex(), "cosigned": True}
        assert status["cosigned"] == {"size": 3, "by": [ORG, PEER]}
        kept = json.loads(bench.home.checkpoint_file.read_bytes())
        assert kept == bench.coordinator.checkpoint({"size": "3"})
        assert bench.cli_json("verify")["last_good_checkpoint"]["cosigned_by"] == [ORG, PEER]

    def test_a_caller_may_ask_for_so_many_of_them(self, bench: Bench) -> None:
        """Of two histories of one size, more than half of the members cosign one at most."""
        attend(bench.open())
        assert bench.cli_json("verify", "--witnesses", "1")["last_good_checkpoint"]["cosigned_by"] == [ORG]
        alone = bench.cli("verify", "--witnesses", "2")
        assert alone.exit_code == ExitCode.CHECK_FAILED
        assert "no checkpoint that 2 members cosigned" in alone.output
        document = cosigned_by_peer(bench, bench.coordinator.records)
        bench.coordinator.cosigned[3][PEER] = {
            "cosignature": document["note"].splitlines()[-1],
            "witness_key_statement": document["witnesses"][0]["witness_key_statement"],
        }
        assert bench.cli("verify", "--witnesses", "2").exit_code == 0

    def test_cosignatures_that_are_none_do_not_count(self, bench: Bench) -> None:
        attend(bench.open())
        document = cosigned_by_peer(bench, bench.coordinator.records)
        document["witnesses"][0]["witness_key_statement"]["signatures"][0]["sig"] = "AAAA"
        bench.coordinator.lie[CHECKPOINT] = lambda _request, _answer: document
        refused = bench.cli("verify", "--witnesses", "2")
        assert refused.exit_code == ExitCode.CHECK_FAILED
        assert "0 member(s) cosigned" in refused.output

    def compare(self, bench: Bench, document: dict[str, Any]) -> None:
        def answer(request: httpx.Request, honest: Any) -> Any:
            return document if "cosigned" in request.url.params else honest

        bench.coordinator.lie[CHECKPOINT] = answer
        attend(bench.open())

    @pytest.mark.parametrize("by_the_log", [True, False])
    def test_one_over_another_root_proves_a_split_view(self, bench: Bench, by_the_log: bool) -> None:
        document = cosigned_by_peer(bench, another_history(bench))
        if not by_the_log:
            document |= {"log_key_statement": json.loads(json.dumps(document["log_key_statement"])) | {"payload": ""}}
        with pytest.raises(ChainContradiction, match="two histories"):
            self.compare(bench, document)
        assert len(list(bench.home.evidence.iterdir())) == 2

    def test_one_of_a_stranger_proves_nothing(self, bench: Bench) -> None:
        bench.coordinator.admit("org-c", fresh())
        document = cosigned_by_peer(bench, another_history(bench))
        document["witnesses"][0]["witness_key_statement"]["signatures"][0]["sig"] = "AAAA"
        document["log_key_statement"]["signatures"][0]["sig"] = "AAAA"
        with pytest.raises(CheckFailed):
            self.compare(bench, document)
        assert not bench.home.evidence.exists()

    def test_one_put_under_another_text_is_noticed(self, bench: Bench) -> None:
        honest = cosigned_by_peer(bench, bench.coordinator.records)
        other = cosigned_by_peer(bench, another_history(bench))
        honest["note"] = "\n".join([*honest["note"].splitlines()[:-1], other["note"].splitlines()[-1], ""])
        with pytest.raises(CheckFailed, match="cosignature of org-b is not over"):
            self.compare(bench, honest)

    def test_a_larger_one_is_judged_later(self, bench: Bench) -> None:
        records = list(bench.coordinator.records)
        bench.coordinator.admit("org-c", fresh())
        larger = cosigned_by_peer(bench, bench.coordinator.records)
        bench.coordinator.records = records
        self.compare(bench, larger)
        held = bench.open().state.witness.held()
        assert held is not None
        assert held.cosigned_size == 0


class TestSplitView:
    """The coordinator shows org-a one chain and org-b another; the members signed both."""

    @pytest.fixture
    def agents(self, make_bench: MakeBench, tmp_path: Path) -> tuple[Bench, Bench]:
        first = make_bench(enrolled=False)
        config = AgentConfig(
            org_id=PEER, name="Organisation B", coordinator=CoordinatorSection(url="http://127.0.0.1:9")
        )
        home, key = Home.create(tmp_path / "peer", config, Algorithm.ED25519)
        second = replace(first, home=home, key=key, config=config)
        for bench in (first, second):
            bench.coordinator.admit(bench.config.org_id, bench.key)
        for bench in (first, second):
            bench.open().state.set_pin("chain_id", bench.coordinator.genesis)
            attend(bench.open())
        return first, second

    def show(self, bench: Bench, records: list[ChainRecord]) -> None:
        """The chain that this agent sees from now on, with nothing of what the other one cosigned."""
        bench.coordinator.records = records
        bench.coordinator.cosigned = {}

    def test_each_alone_sees_nothing_wrong_and_comparing_shows_it(self, agents: tuple[Bench, Bench]) -> None:
        first, second = agents
        first.coordinator.admit("org-c", fresh())
        views = [list(first.coordinator.records), another_history(first)]
        for bench, view in zip(agents, views, strict=True):
            self.show(bench, view)
            assert attend(bench.open())
            assert bench.cli_json("verify")["chain_valid"]
        self.show(first, views[0])
        report = first.cli_json("verify", "--checkpoint", str(second.home.checkpoint_file), exit_code=1)
        assert report["first_bad"]["code"] == "checkpoint_root_mismatch"
        assert report["first_bad"]["height"] == 3

    def test_a_witness_of_the_first_view_never_cosigns_the_second(self, agents: tuple[Bench, Bench]) -> None:
        first, _ = agents
        first.coordinator.admit("org-c", fresh())
        views = [list(first.coordinator.records), another_history(first)]
        self.show(first, views[0])
        attend(first.open())
        self.show(first, views[1])
        for _ in range(2):
            with pytest.raises(ChainContradiction):
                attend(first.open())
        assert first.coordinator.cosigned == {}

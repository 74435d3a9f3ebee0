"""Following the chain: verified once, remembered, and refused when it goes back or forks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from federation.agent import chain
from federation.agent.errors import ChainContradiction, CheckFailed, ExitCode
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.record import ChainRecord
from tests.agent.conftest import Bench
from tests.agent.fake_coordinator import FakeCoordinator
from tests.ledger.checkpoints import checkpoint_file


def fresh() -> PrivateKey:
    return PrivateKey.generate(Algorithm.ED25519)


def test_the_head_is_remembered_and_verified_from_there(bench: Bench) -> None:
    assert chain.follow(bench.open()).height == 2
    bench.coordinator.admit("org-c", fresh())
    exports = [r.url.params["from"] for r in bench.coordinator.requests if r.url.path.endswith("export")]
    state = chain.follow(bench.open())
    assert state == bench.coordinator.state
    later = [r.url.params["from"] for r in bench.coordinator.requests if r.url.path.endswith("export")]
    assert exports == ["0"]
    assert later == ["0", "3"]


def test_a_rollback_is_refused(bench: Bench) -> None:
    chain.follow(bench.open())
    del bench.coordinator.records[-1]
    with pytest.raises(ChainContradiction, match="went back"):
        chain.follow(bench.open())


def test_a_fork_at_the_remembered_height_is_refused(bench: Bench) -> None:
    chain.follow(bench.open())
    del bench.coordinator.records[-1]
    del bench.coordinator.peers["org-b"]
    bench.coordinator.admit("org-x", fresh())
    with pytest.raises(ChainContradiction, match="forked") as caught:
        chain.follow(bench.open())
    assert caught.value.exit_code == ExitCode.CHAIN_CONTRADICTS


def test_a_longer_fork_is_refused(bench: Bench) -> None:
    chain.follow(bench.open())
    del bench.coordinator.records[-1]
    del bench.coordinator.peers["org-b"]
    for name in ("org-x", "org-y"):
        bench.coordinator.admit(name, fresh())
    with pytest.raises(ChainContradiction):
        chain.follow(bench.open())
    assert bench.open().state.chain() is not None


def test_approvals_stripped_from_the_remembered_head_are_noticed(bench: Bench) -> None:
    coordinator = bench.coordinator
    for name in ("org-c", "org-d", "org-e"):  # the last of them by four voters, three of whom are enough
        coordinator.admit(name, fresh())
    chain.follow(bench.open())
    last = coordinator.records[-1]
    coordinator.records[-1] = replace(last, approvals=[a for a in last.approvals if a.org_id != "org-a"])
    coordinator.admit("org-f", fresh())
    with pytest.raises(ChainContradiction, match="prev_cert_mismatch"):
        chain.follow(bench.open())


def test_another_chain_is_refused(bench: Bench) -> None:
    other = FakeCoordinator()
    bench.coordinator.records = other.records
    with pytest.raises(ChainContradiction, match="serves the chain"):
        chain.follow(bench.open())


def swap_blocks(records: list[ChainRecord]) -> None:
    records[1], records[2] = records[2], records[1]


def forge_signature(records: list[ChainRecord]) -> None:
    approval = records[2].approvals[0]
    forged = replace(approval, signature=bytes(len(approval.signature)))
    records[2] = replace(records[2], approvals=[forged, *records[2].approvals[1:]])


def strip_quorum(records: list[ChainRecord]) -> None:
    records[3] = replace(records[3], approvals=[a for a in records[3].approvals if a.org_id != "org-b"])


@pytest.mark.parametrize(
    ("tamper", "height"),
    [(swap_blocks, 1), (forge_signature, 2), (strip_quorum, 3)],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_a_bad_block_is_named_and_nothing_of_it_remembered(
    bench: Bench, tamper: Callable[[list[ChainRecord]], None], height: int
) -> None:
    bench.coordinator.admit("org-c", fresh())
    honest = list(bench.coordinator.records)

    def export(request: object, answer: dict[str, object]) -> dict[str, object]:
        records = list(honest)
        tamper(records)
        return {"records": [record.as_json(i) for i, record in enumerate(records)]}

    bench.coordinator.lie["blockchain/ledger/export"] = export
    with pytest.raises(CheckFailed) as caught:
        chain.follow(bench.open())
    assert caught.value.fields["height"] == height
    assert bench.open().state.chain() is None

    report = bench.cli_json("verify", exit_code=1)
    assert report["chain_valid"] is False
    assert report["first_bad"]["height"] == height


def test_withheld_blocks_are_noticed(bench: Bench) -> None:
    bench.coordinator.lie["blockchain/ledger/export"] = lambda _request, _answer: {"records": []}
    with pytest.raises(CheckFailed, match="withholds block 0"):
        chain.follow(bench.open())


def test_a_stale_head_is_asked_for_again(bench: Bench) -> None:
    stale = {"chain_id": bench.coordinator.genesis, "height": 2, "block_hash": bench.coordinator.state.block_hash}
    bench.coordinator.admit("org-c", fresh())
    newest = chain.follow(bench.open())
    assert chain.follow(bench.open(), head=stale) == newest


@pytest.mark.parametrize("head", [{"height": -1}, {"height": "2"}, {"block_hash": None}, {"chain_id": None}])
def test_a_head_that_says_nothing_is_refused(bench: Bench, head: dict[str, object]) -> None:
    bench.coordinator.lie["blockchain/head"] = lambda _, answer: answer | head
    with pytest.raises((CheckFailed, ChainContradiction)):
        chain.follow(bench.open())


def test_verify_reads_everything_from_genesis(bench: Bench) -> None:
    for number in range(4):
        bench.coordinator.admit(f"org-{number}", fresh())
    report = bench.cli_json("verify")
    assert (report["chain_valid"], report["blocks_verified"]) == (True, 7)
    assert report["last_block_hash"] == bench.coordinator.state.block_hash
    assert report["unanchored"] == 7
    chain.follow(bench.open())
    assert bench.cli_json("verify")["unanchored"] == 0


def test_verify_misses_the_remembered_head(bench: Bench) -> None:
    chain.follow(bench.open())
    del bench.coordinator.records[-1]
    report = bench.cli_json("verify", exit_code=1)
    assert report["first_bad"]["code"] == "remembered_block_missing"


def test_pages_are_followed_to_the_head(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "PAGE", 2)
    for number in range(3):
        bench.coordinator.admit(f"org-{number}", fresh())
    assert chain.follow(bench.open()) == bench.coordinator.state
    assert bench.cli_json("verify")["blocks_verified"] == 6


@pytest.mark.parametrize("size", [1, 3])
def test_verify_compares_with_a_held_checkpoint(bench: Bench, tmp_path: Path, size: int) -> None:
    coordinator, file = bench.coordinator, tmp_path / "checkpoint.json"
    file.write_bytes(checkpoint_file(coordinator.records, size, coordinator=coordinator.key))
    report = bench.cli_json("verify", "--checkpoint", str(file))
    assert (report["unanchored"], report["last_good_checkpoint"]["size"]) == (3 - size, size)


def test_verify_shows_a_rewrite_to_who_holds_a_checkpoint(bench: Bench, tmp_path: Path) -> None:
    coordinator, file = bench.coordinator, tmp_path / "checkpoint.json"
    file.write_bytes(checkpoint_file(coordinator.records, 3, coordinator=coordinator.key))
    del coordinator.records[-1]
    del coordinator.peers["org-b"]
    for name in ("org-x", "org-y"):
        coordinator.admit(name, fresh())
    assert bench.cli_json("verify")["chain_valid"]
    report = bench.cli_json("verify", "--checkpoint", str(file), exit_code=1)
    assert report["first_bad"]["code"] == "checkpoint_root_mismatch"
    assert report["first_bad"]["height"] == 2

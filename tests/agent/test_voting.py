"""The vote book: one decision a block, one approved block a height, whatever crashes in between."""

from __future__ import annotations

import base64
import json
import sqlite3

import httpx
import pytest
from typer.testing import CliRunner

from federation.agent import voting
from federation.agent.commands import votes as commands
from federation.agent.commands.app import app
from federation.agent.errors import Unreachable
from federation.agent.proposals import Proposal, read_proposal, reason_text
from flxdr.core import dsse
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.approvals import rejection_statement
from ledger.chain.entries import subject_of
from tests.agent.conftest import PEER, Bench, MakeBench


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench(admissions="auto")


def propose(bench: Bench, org_id: str = "org-c") -> Proposal:
    """An admission for the next height."""
    return read_proposal(bench.coordinator.propose_admission(org_id, PrivateKey.generate(Algorithm.ED25519)))


def end(bench: Bench, proposal: Proposal, *, rejected_by: dict[str, PrivateKey], status: str = "rejected") -> None:
    entry = bench.coordinator.proposals[proposal.id - 1]
    entry["status"] = status
    for org_id, key in rejected_by.items():
        statement = rejection_statement(block_hash=proposal.block_hash, org_id=org_id, reason="no")
        entry["rejections"].append(
            {
                "org_id": org_id,
                "key_id": key.public.key_id,
                "signature": dsse.encode_base64(dsse.sign(key, dsse.REJECTION_TYPE, statement)),
                "reason": "no",
            }
        )


def approved(bench: Bench) -> list[int]:
    return [number for number, verb, _ in bench.coordinator.votes if verb == "approve"]


def test_a_second_block_at_one_height_is_never_approved(bench: Bench) -> None:
    first = propose(bench)
    bench.run_once()
    end(bench, first, rejected_by={}, status="expired")
    propose(bench, "org-d")
    bench.run_once()
    assert approved(bench) == [1]

    result = bench.cli("approve", "2")
    assert result.exit_code == 1
    assert "--replace-vote" in result.stderr
    assert approved(bench) == [1]


def test_the_vote_book_itself_refuses_it(bench: Bench) -> None:
    agent = bench.open()
    first, second = propose(bench), propose(bench, "org-d")
    voting.cast(agent, first, "approve")
    with pytest.raises(voting.VoteConflict):
        voting.cast(agent, second, "approve")
    with pytest.raises(voting.VoteConflict):
        voting.cast(agent, first, "reject", "changed my mind")
    with pytest.raises(sqlite3.IntegrityError):
        agent.state.cast_vote(voting.cast(agent, first, "approve"))
    assert voting.cast(agent, second, "reject", "no").decision == "reject"
    with pytest.raises(voting.VoteConflict):
        voting.cast(agent, second, "approve")


def test_signed_rejections_beyond_the_quorum_free_the_height(bench: Bench) -> None:
    first = propose(bench)
    bench.run_once()
    end(bench, first, rejected_by={PEER: bench.coordinator.peers[PEER]})
    propose(bench, "org-d")
    bench.run_once()
    assert approved(bench) == [1, 2]


@pytest.mark.parametrize("forger", ["stranger", "member-under-another-name"])
def test_forged_rejections_free_nothing(bench: Bench, forger: str) -> None:
    first = propose(bench)
    bench.run_once()
    keys = {PEER: PrivateKey.generate(Algorithm.ED25519)}
    if forger != "stranger":
        keys = {"org-z": bench.coordinator.peers[PEER]}
    end(bench, first, rejected_by=keys)
    propose(bench, "org-d")
    bench.run_once()
    assert approved(bench) == [1]


def test_a_rejection_of_another_block_frees_nothing(bench: Bench) -> None:
    first = propose(bench)
    bench.run_once()
    second = propose(bench, "org-d")
    end(bench, second, rejected_by={PEER: bench.coordinator.peers[PEER]})
    bench.coordinator.proposals[0]["rejections"] = bench.coordinator.proposals[1]["rejections"]
    bench.coordinator.proposals[0]["status"] = "rejected"
    propose(bench, "org-e")
    bench.run_once()
    assert approved(bench) == [first.id]


def test_another_proposal_in_the_place_of_the_approved_one_frees_nothing(bench: Bench) -> None:
    propose(bench)
    bench.run_once()
    lost = propose(bench, "org-d")
    end(bench, lost, rejected_by={PEER: bench.coordinator.peers[PEER]})
    bench.coordinator.proposals[0]["status"] = "expired"
    bench.coordinator.lie["blockchain/proposals/1"] = lambda _, __: bench.coordinator.proposals[1]
    propose(bench, "org-e")
    bench.run_once()
    assert approved(bench) == [1]


def test_what_lapsed_unanswered_is_renounced_so_that_others_are_free(bench: Bench) -> None:
    lapsed = propose(bench)
    end(bench, lapsed, rejected_by={}, status="expired")
    propose(bench, "org-d")
    bench.run_once()
    bench.run_once()
    assert [(number, verb) for number, verb, _ in bench.coordinator.votes] == [(1, "reject"), (2, "approve")]
    (proof,) = bench.coordinator.proposals[0]["rejections"]
    statement = rejection_statement(block_hash=lapsed.block_hash, org_id="org-a", reason=proof["reason"])
    dsse.verify(bench.key.public, base64.b64decode(proof["signature"]), dsse.REJECTION_TYPE, statement)


def test_what_was_approved_or_lies_lower_is_not_renounced(bench: Bench) -> None:
    lower = propose(bench)
    end(bench, lower, rejected_by={}, status="withdrawn")
    bench.coordinator.admit("org-x", PrivateKey.generate(Algorithm.ED25519))
    approved_before = propose(bench)
    bench.run_once()
    end(bench, approved_before, rejected_by={}, status="expired")
    propose(bench, "org-d")
    bench.run_once()
    assert [(number, verb) for number, verb, _ in bench.coordinator.votes] == [(2, "approve")]


def test_a_person_can_replace_a_vote(bench: Bench) -> None:
    first = propose(bench)
    bench.run_once()
    end(bench, first, rejected_by={}, status="expired")
    propose(bench, "org-d")
    assert bench.cli_json("approve", "2", "--replace-vote")["decision"] == "approve"
    assert approved(bench) == [1, 2]


@pytest.mark.parametrize(("answer", "votes"), [("n", []), ("", []), ("y", [1])])
def test_on_a_terminal_a_person_sees_what_the_bytes_say_before_it_is_signed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: str, votes: list[int]
) -> None:
    monkeypatch.setattr(commands, "is_terminal", lambda: True)
    proposal = propose(bench)
    arguments = ["approve", "1", "--home", str(bench.home.folder)]
    result = CliRunner().invoke(app, arguments, obj=bench.surroundings, input=f"{answer}\n")
    assert result.exit_code == (0 if votes else 1)
    asked = result.stderr
    assert asked.index("4. The key proves possession: org-c") < asked.index(f"Sign block {proposal.block_hash}?")
    assert approved(bench) == votes
    assert bool(bench.open().state.vote_on(proposal.block_hash)) == bool(votes)


def test_another_block_under_the_number_that_was_meant_is_not_signed(bench: Bench) -> None:
    meant, other = propose(bench), propose(bench, "org-d")
    refused = bench.cli("approve", "2", "--block", meant.block_hash)
    assert refused.exit_code == 1
    assert other.block_hash in refused.stderr
    assert approved(bench) == []
    assert bench.cli("approve", "1", "--block", meant.block_hash).exit_code == 0


def test_a_replayed_proposal_gets_the_very_same_signature(bench: Bench) -> None:
    proposal = propose(bench)
    bench.run_once()
    bench.coordinator.proposals[0]["approvals"].clear()
    bench.run_once()
    assert approved(bench) == [1, 1]
    first, second = (body["signature"] for _, _, body in bench.coordinator.votes)
    assert first == second
    dsse.verify(bench.key.public, base64.b64decode(first), dsse.BLOCK_TYPE, proposal.header)


def test_a_vote_is_in_the_book_before_it_is_sent_and_sent_after_a_crash(bench: Bench) -> None:
    proposal = propose(bench)
    bench.coordinator.lie["blockchain/proposals/1/approve"] = lambda _, __: httpx.Response(503)
    with pytest.raises(Unreachable):
        bench.run_once()
    bench.coordinator.votes.clear()
    kept = bench.open().state.vote_on(proposal.block_hash)
    assert kept is not None
    assert not kept.sent

    bench.coordinator.lie.clear()
    bench.coordinator.proposals[0]["approvals"].clear()
    bench.run_once()
    (vote,) = bench.coordinator.votes
    assert base64.b64decode(vote[2]["signature"]) == kept.signature
    assert bench.open().state.unsent_votes() == []


@pytest.mark.parametrize("code", ["proposal_not_open", "not_a_voter", "key_not_admitted", "already_answered"])
def test_a_vote_that_came_too_late_is_not_sent_for_ever(bench: Bench, code: str) -> None:
    agent, proposal = bench.open(), propose(bench)
    vote = voting.cast(agent, proposal, "reject", "no")
    bench.coordinator.lie["blockchain/proposals/1/reject"] = lambda _, __: httpx.Response(409, json={"code": code})
    assert voting.send(agent, vote) is None
    assert agent.state.unsent_votes() == []


def test_an_approval_that_came_after_the_seal_is_delivered(bench: Bench) -> None:
    agent, proposal = bench.open(), propose(bench)
    vote = voting.cast(agent, proposal, "approve")
    end(bench, proposal, rejected_by={}, status="sealed")
    answer = voting.send(agent, vote)
    assert answer is not None
    assert answer["status"] == "sealed"
    assert approved(bench) == [1]
    assert agent.state.unsent_votes() == []


def test_decisions_survive_in_another_process(bench: Bench) -> None:
    first, second = propose(bench), propose(bench, "org-d")
    one, other = bench.open(), bench.open()
    voting.cast(one, first, "approve")
    with pytest.raises(voting.VoteConflict):
        voting.cast(other, second, "approve")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  a\nb\x00 ", "a b"), ("e\u0301", "é"), ("x" * 600, "x" * 500), ("\n", "no reason given"), ("\ud800x", "x")],
)
def test_reasons_are_printable_and_bounded(text: str, expected: str) -> None:
    assert reason_text(text) == expected


def test_the_list_shows_ones_own_votes(bench: Bench) -> None:
    propose(bench)
    assert bench.cli_json("proposals")["proposals"][0]["own_vote"] is None
    bench.run_once()
    assert bench.cli_json("proposals")["proposals"][0]["own_vote"] == "approve"
    assert "approve" in bench.cli("proposals").stdout
    end(bench, read_proposal(bench.coordinator.proposals[0]), rejected_by={}, status="expired")
    assert bench.cli_json("proposals")["proposals"] == []
    assert len(bench.cli_json("proposals", "--all")["proposals"]) == 1


def test_an_unknown_proposal_is_refused(bench: Bench) -> None:
    result = bench.cli("approve", "7")
    assert result.exit_code == 4
    assert json.loads(bench.cli("approve", "7", "--json").stdout)["error"]["code"] == "refused"


def test_the_list_says_what_the_header_says_whatever_the_coordinator_calls_it(bench: Bench) -> None:
    proposal = propose(bench)
    bench.coordinator.proposals[0] |= {"subject": "withdraw_release global v3", "round_id": None}
    (listed,) = bench.cli_json("proposals")["proposals"]
    (action,) = proposal.parsed().governance.actions
    assert listed["about"] == subject_of(action)
    assert "withdraw" not in bench.cli("proposals").stdout


def test_a_proposal_that_cannot_be_read_is_listed_all_the_same(bench: Bench) -> None:
    propose(bench)
    bench.coordinator.proposals[0]["block_hash"] = "0" * 64
    (listed,) = bench.cli_json("proposals")["proposals"]
    assert listed["about"].startswith("cannot be read")


def test_words_of_others_steer_no_terminal(bench: Bench) -> None:
    propose(bench)
    bench.coordinator.proposals[0]["deadline"] = "\x1b[2Ksoon [/nothing]"
    result = bench.cli("proposals")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[/nothing]" in result.stdout

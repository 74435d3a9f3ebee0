"""Rotating and revoking this organisation's key: the home never lacks the key that the chain records."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import msgspec
import pytest

from federation.agent import files
from federation.agent.errors import Refused, Unreachable
from federation.agent.home import Home
from federation.agent.state import State
from flxdr.core import dsse
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.block import parse_header
from ledger.chain.entries import Admit, Endorsement, Revoke, Rotate, RotationStatement, SetPolicy, encode_statement
from ledger.chain.membership import key_entry
from tests.agent.conftest import ORG, PEER, Bench, MakeBench
from tests.agent.test_reviews import NORMALISER, decisions, train


class Crash(BaseException):
    """The process dies here."""


def rotation(bench: Bench, holder: str, old: PrivateKey, new: PrivateKey) -> Rotate:
    statement = RotationStatement(
        v=1,
        org_id=holder,
        key_id=new.public.key_id,
        retires=old.public.key_id,
        chain_id=bench.coordinator.genesis,
    )

    def signed(key: PrivateKey) -> str:
        return base64.b64encode(dsse.sign(key, dsse.ROTATION_TYPE, encode_statement(statement))).decode()

    return Rotate(
        key=key_entry(new.public),
        statement=statement,
        proof=signed(new),
        endorsement=Endorsement(key_id=old.public.key_id, signature=signed(old)),
    )


def seal(bench: Bench) -> PrivateKey:
    """Seal the rotation that was proposed; the new key."""
    new = bench.home.next_key()
    assert new is not None
    bench.coordinator.seal_proposal(bench.coordinator.proposals[-1])
    bench.coordinator.peers[ORG] = new
    return new


def test_a_key_is_rotated_and_the_agent_switches_by_itself(bench: Bench) -> None:
    answer = bench.cli_json("keys", "rotate")
    assert (answer["status"], answer["switched"], answer["algorithm"]) == ("open", False, "Ed25519")
    assert decisions(bench) == [(1, "approve")]
    assert bench.open().key.public == bench.key.public
    new = seal(bench)
    bench.run_once()
    assert bench.home.key().public == new.public
    assert not bench.home.next_key_file.exists()
    listed = bench.cli_json("keys", "list")["keys"]
    assert [(key["key_id"], key["home"], key["chain"]) for key in listed] == [(new.public.key_id, "in use", "in force")]
    assert bench.cli_json("status")["member"] is True
    train(bench, NORMALISER)
    bench.coordinator.propose_release()
    bench.run_once()
    assert decisions(bench)[-1] == (2, "approve")
    assert bench.coordinator.votes[-1][2]["key_id"] == new.public.key_id


def test_a_running_agent_switches_when_another_process_began_the_rotation(bench: Bench) -> None:
    running = bench.open()
    bench.run_once(running)
    bench.cli_json("keys", "rotate", "--algorithm", "ML-DSA-65")
    new = seal(bench)
    assert running.key.public == bench.key.public
    bench.run_once(running)
    assert running.key.public == new.public
    bench.run_once(running)


def test_a_process_whose_key_file_was_moved_reads_it_again(bench: Bench) -> None:
    running = bench.open()
    bench.cli_json("keys", "rotate")
    new = seal(bench)
    bench.run_once()
    bench.run_once(running)
    assert running.key.public == new.public


@pytest.mark.parametrize("step", ["kept", "proposed", "votes closed", "moved"])
def test_a_kill_at_any_step_loses_no_key(bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def die(*_: object, **__: object) -> None:
        raise Crash

    def killed(*, then: Any, before: Any = lambda: None) -> None:
        def last(*arguments: Any, **options: Any) -> None:
            then(*arguments, **options)
            die()

        with monkeypatch.context() as patch:
            if step == "kept":
                patch.setattr("federation.agent.rotation.encode_statement", die)
            elif step == "proposed":
                patch.setattr("federation.agent.commands.keys._vote", die)
            elif step == "votes closed":
                patch.setattr(State, "close_votes", last)
            else:
                patch.setattr(files, "move_durably", last)
            with pytest.raises(Crash):
                before()

    if step in ("kept", "proposed"):
        killed(then=None, before=lambda: _raising(bench.cli("keys", "rotate")))
        kept = bench.home.next_key()
        assert kept is not None
        assert bench.open().key.public == bench.key.public
        assert bench.cli_json("keys", "rotate")["next_key_id"] == kept.public.key_id
        new = seal(bench)
        bench.run_once()
    else:
        bench.cli_json("keys", "rotate")
        new = seal(bench)
        original = State.close_votes if step == "votes closed" else files.move_durably
        killed(then=original, before=bench.run_once)
    agent = bench.open()
    assert agent.key.public == new.public == bench.home.key().public
    assert not bench.home.next_key_file.exists()
    bench.run_once(agent)


def _raising(result: Any) -> None:
    if result.exception is not None:
        raise result.exception


def test_an_update_that_waited_is_signed_anew(bench: Bench) -> None:
    """The update of a round is prepared with the old key and sent after the rotation was sealed."""
    config = bench.coordinator.start_round(NORMALISER)
    bench.coordinator.lie["federation/round/submit-gradient"] = lambda *_: httpx.Response(503)
    with pytest.raises(Exception, match="no answer"):
        bench.run_once()
    bench.coordinator.lie.clear()
    bench.cli_json("keys", "rotate")
    new = seal(bench)
    bench.run_once()
    submitted = bench.coordinator.submitted[config.round_id, ORG]
    assert f".{new.public.key_id}." in submitted.header
    kept = bench.open().state.update_for(config.round_id)
    assert kept is not None
    assert (kept.outcome, kept.wire_digest) == ("accepted", submitted.statement["wire_digest"])


def test_a_statement_that_waited_is_signed_anew(bench: Bench) -> None:
    train(bench, NORMALISER)
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    bench.coordinator.seal_proposal(proposal)
    bench.coordinator.lie["blockchain/blocks/3/statements"] = lambda _, __: httpx.Response(503)
    with pytest.raises(Unreachable):
        bench.run_once()
    made = json.loads((bench.home.statements / "3.json").read_bytes())
    bench.cli_json("keys", "rotate")
    new = seal(bench)
    bench.coordinator.lie.clear()
    bench.coordinator.attested.clear()
    bench.run_once()
    ((_, _, envelope),) = bench.coordinator.attested
    assert envelope["payload"] == made["payload"]
    assert [one["keyid"] for one in envelope["signatures"]] == [new.public.key_id]
    bench.run_once()
    assert len(bench.coordinator.attested) == 1


def test_a_vote_by_the_old_key_is_not_sent_after_the_switch(bench: Bench) -> None:
    bench.coordinator.lie["blockchain/proposals/1/approve"] = lambda *_: httpx.Response(503)
    assert bench.cli("keys", "rotate").exit_code == 3
    assert len(bench.open().state.unsent_votes()) == 1
    bench.coordinator.lie.clear()
    seal(bench)
    bench.run_once()
    assert bench.open().state.unsent_votes() == []
    votes = len(bench.coordinator.votes)
    bench.run_once()
    assert len(bench.coordinator.votes) == votes
    assert {body["key_id"] for _, _, body in bench.coordinator.votes} == {bench.key.public.key_id}


def test_another_algorithm_does_not_replace_the_next_key(bench: Bench) -> None:
    bench.cli_json("keys", "rotate")
    assert bench.cli("keys", "rotate", "--algorithm", "ML-DSA-65").exit_code == 5
    assert bench.cli_json("keys", "rotate", "--algorithm", "Ed25519")["status"] == "open"


def test_a_token_that_is_refused_for_another_reason_is_refused(bench: Bench) -> None:
    bench.cli_json("keys", "rotate")
    del bench.coordinator.peers[ORG]
    with pytest.raises(Refused):
        bench.run_once()
    assert bench.open().key.public == bench.key.public


def test_a_rotation_that_this_home_did_not_ask_for_is_rejected_loudly(bench: Bench) -> None:
    thief = PrivateKey.generate(Algorithm.ED25519)
    bench.coordinator.propose_entry(rotation(bench, ORG, bench.key, thief))
    told = [json.loads(line) for line in bench.cli("run", "--once", "--json").stdout.splitlines()]
    assert [event["event"] for event in told[-2:]] == ["alarm", "vote"]
    assert thief.public.key_id in told[-2]["reason"]
    ((_, verb, body),) = bench.coordinator.votes
    assert verb == "reject"
    assert "which this home did not make" in body["reason"]


def test_a_further_key_of_ones_own_is_announced_and_left_to_a_person(make_bench: MakeBench) -> None:
    """It would outlive the rotation of the stolen key that asked for it."""
    bench, thief = make_bench(admissions="auto"), PrivateKey.generate(Algorithm.ED25519)
    (admission,) = bench.coordinator.admission(ORG, thief).actions
    assert isinstance(admission, Admit)
    signed = dsse.sign(bench.key, dsse.REGISTRATION_TYPE, encode_statement(admission.statement))
    endorsement = Endorsement(key_id=bench.key.public.key_id, signature=dsse.encode_base64(signed))
    bench.coordinator.propose_entry(msgspec.structs.replace(admission, endorsement=endorsement))
    told = [json.loads(line) for line in bench.cli("run", "--once", "--json").stdout.splitlines()]
    assert [event["event"] for event in told[-2:]] == ["alarm", "ask"]
    assert thief.public.key_id in told[-2]["reason"]
    assert decisions(bench) == []


@pytest.mark.parametrize(
    ("policy", "pin", "votes"),
    [("auto", False, ["approve"]), ("manual", True, []), ("pinned", True, ["approve"]), ("pinned", False, [])],
)
def test_others_rotations_follow_the_policy_for_admissions(
    make_bench: MakeBench, policy: str, pin: bool, votes: list[str]
) -> None:
    bench, new = make_bench(admissions=policy), PrivateKey.generate(Algorithm.ED25519)
    if pin:
        bench.home.peers_file.write_text(f"{new.public.key_id}  # {PEER}\n")
    bench.coordinator.propose_entry(rotation(bench, PEER, bench.coordinator.peers[PEER], new))
    bench.run_once()
    assert [verb for _, verb in decisions(bench)] == votes


@pytest.mark.parametrize("entry", ["policy", "coordinator"])
def test_a_person_decides_on_the_rest(make_bench: MakeBench, entry: str) -> None:
    bench = make_bench(admissions="auto")
    policy = bench.coordinator.state.keys.policy
    new = PrivateKey.generate(Algorithm.ED25519)
    bench.coordinator.propose_entry(
        SetPolicy(policy) if entry == "policy" else rotation(bench, "coordinator", bench.coordinator.key, new)
    )
    bench.run_once()
    assert decisions(bench) == []
    assert bench.cli("approve", "1").exit_code == 0
    assert decisions(bench) == [(1, "approve")]


@pytest.fixture
def three(bench: Bench) -> Bench:
    bench.coordinator.admit("org-c", PrivateKey.generate(Algorithm.ED25519))
    return bench


def test_a_key_is_given_up(three: Bench) -> None:
    answer = three.cli_json("keys", "revoke", "--compromised-since", "2", "--reason", "the laptop was stolen")
    assert answer["status"] == "open"
    (entry,) = parse_header(base64.b64decode(three.coordinator.proposals[-1]["header"])).governance.actions
    assert entry == Revoke(
        org_id=ORG, key_id=three.key.public.key_id, compromised_since=2, reason="the laptop was stolen"
    )
    told = three.cli("run", "--once", "--json").stdout
    assert '"alarm"' not in told
    assert decisions(three) == []  # it has no vote on it


def test_a_revocation_that_this_home_did_not_ask_for_is_announced(three: Bench) -> None:
    three.coordinator.propose_entry(
        Revoke(org_id=ORG, key_id=three.key.public.key_id, compromised_since=None, reason="says the operator")
    )
    told = [json.loads(line) for line in three.cli("run", "--once", "--json").stdout.splitlines()]
    assert [event["event"] for event in told[-2:]] == ["alarm", "skip"]
    assert "says the operator" in told[-2]["reason"]
    assert decisions(three) == []


def test_a_key_that_is_not_in_force_is_not_revoked(three: Bench) -> None:
    assert three.cli("keys", "revoke", "--key-id", "0" * 64, "--reason", "lost").exit_code == 1
    assert three.coordinator.proposals == []


def test_a_home_holds_one_next_key(tmp_path: Any, bench: Bench) -> None:
    first = bench.home.make_next_key(Algorithm.ED25519)
    assert Home(bench.home.folder).make_next_key(None).public == first.public

"""What the policies of agent.toml leave to the agent, and what to a person."""

from __future__ import annotations

import msgspec
import pytest

from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.entries import Admit
from tests.agent.conftest import Bench, MakeBench
from tests.agent.test_reviews import CLASSIFIER, decisions, rejection, train


def fresh() -> PrivateKey:
    return PrivateKey.generate(Algorithm.ED25519)


@pytest.mark.parametrize(("policy", "pinned", "voted"), [
    ("auto", False, ["approve"]),
    ("manual", True, []),
    ("pinned", True, ["approve"]),
    ("pinned", False, []),
])  # fmt: skip
def test_admissions_follow_the_policy(make_bench: MakeBench, policy: str, pinned: bool, voted: list[str]) -> None:
    bench = make_bench(admissions=policy)
    key = fresh()
    if pinned:
        bench.home.peers_file.write_text(f"{key.public.key_id}  # org-c\n")
    bench.coordinator.propose_admission("org-c", key)
    bench.run_once()
    assert [verb for _, verb in decisions(bench)] == voted


def test_an_admission_without_possession_is_rejected(make_bench: MakeBench) -> None:
    bench = make_bench(admissions="auto")
    honest = bench.coordinator.admission("org-c", fresh())
    (entry,) = honest.actions
    (other,) = bench.coordinator.admission("org-c", fresh()).actions
    assert isinstance(entry, Admit)
    assert isinstance(other, Admit)
    forged = msgspec.structs.replace(entry, proof=other.proof)
    governance = type(honest)(rule=honest.rule, voters=honest.voters, threshold=honest.threshold, actions=(forged,))
    bench.coordinator.propose(bench.coordinator.header("governance", governance))
    bench.run_once()
    assert "admission_signature" in rejection(bench)


def test_a_manual_release_waits_for_a_person_who_gets_the_same_checks(make_bench: MakeBench) -> None:
    bench = make_bench(releases="manual")
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release()
    bench.run_once()
    assert decisions(bench) == []

    answer = bench.cli_json("approve", "1")
    assert (answer["decision"], answer["height"]) == ("approve", 3)
    assert [step.split(".")[0] for step in answer["steps"]] == ["1-2", "3", "4", "5", "6", "7", "8"]
    assert decisions(bench) == [(1, "approve")]


def test_a_person_cannot_approve_what_fails_the_checks(make_bench: MakeBench) -> None:
    bench = make_bench(releases="manual")
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release(submissions_root="0" * 64)
    result = bench.cli("approve", "1")
    assert result.exit_code == 1
    assert "not included" in result.stderr
    assert decisions(bench) == []

    assert bench.cli_json("reject", "1", "--reason", "not ours")["decision"] == "reject"
    assert rejection(bench) == "not ours"


def test_a_release_that_cannot_be_validated_here_waits_for_a_person(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release()
    text = bench.home.config_file.read_text()
    bench.home.config_file.write_text(text.replace(str(bench.config.data.paths[0]), "").replace('[""]', "[]"))
    bench.run_once()
    assert decisions(bench) == []
    assert "no flow records" in bench.cli_json("approve", "1")["steps"][-1]

"""Statements about releases: made of what was verified here, sent once, and verifiable by anybody with an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from federation.agent.commands.app import app
from federation.agent.errors import ExitCode, Unreachable
from flxdr.core.dsse import Envelope
from ledger.chain import export
from ledger.chain.statement import Predicate, read_statement, verify_statement
from tests.agent.conftest import ORG, PEER, Bench, MakeBench
from tests.agent.test_reviews import CLASSIFIER, NORMALISER, train, zeros


@pytest.fixture
def released(bench: Bench) -> Bench:
    """A release of the normaliser that org-a trained for, sealed in block 3."""
    return release(bench)


def release(bench: Bench) -> Bench:
    train(bench, NORMALISER)
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    bench.coordinator.seal_proposal(proposal)
    return bench


def sent(bench: Bench) -> list[tuple[int, Predicate]]:
    """What the coordinator took, each verified against its chain."""
    found = []
    for height, _, envelope in bench.coordinator.attested:
        verified = verify_statement(
            Envelope.from_json(envelope), iter(bench.coordinator.records), genesis=bench.coordinator.genesis
        )
        found.append((height, verified.statement.predicate))
    return found


def test_a_sealed_release_is_attested_once(released: Bench) -> None:
    released.run_once()
    released.run_once()
    ((height, predicate),) = sent(released)
    assert height == 3
    own = predicate.organization
    assert (own.org_id, own.trained) == (ORG, True)
    kept = released.open().state.update_for(predicate.release.round_id)
    assert kept is not None
    assert own.update is not None
    assert (own.update.sha256, own.update.samples) == (kept.wire_digest, kept.samples)
    file = released.home.statements / "3.json"
    assert json.loads(file.read_bytes()) == released.coordinator.attested[0][2]
    assert file.stat().st_mode & 0o077 == 0


def test_it_says_how_the_model_did_on_own_records(bench: Bench) -> None:
    for _ in range(2):
        train(bench, CLASSIFIER)
        proposal = bench.coordinator.propose_release()
        bench.run_once()
        bench.coordinator.seal_proposal(proposal)
        bench.run_once()
    first, second = (predicate.organization.validation for _, predicate in sent(bench))
    assert first is not None
    assert second is not None
    assert first.before_ppm is None
    assert (second.score, second.before_ppm) == (first.score, first.after_ppm)
    assert 0 < second.after_ppm <= 1_000_000


def test_who_took_no_part_says_so(bench: Bench) -> None:
    bench.coordinator.start_round(NORMALISER)
    bench.coordinator.submit_for(PEER, zeros(NORMALISER))
    bench.coordinator.seal_proposal(bench.coordinator.propose_release())
    bench.coordinator.config = None
    bench.run_once()
    ((_, predicate),) = sent(bench)
    assert (predicate.organization.trained, predicate.organization.update) == (False, None)


def test_what_could_not_be_sent_is_sent_later_as_it_was(released: Bench) -> None:
    path = "blockchain/blocks/3/statements"
    released.coordinator.lie[path] = lambda _, __: httpx.Response(503)
    with pytest.raises(Unreachable):
        released.run_once()
    made = (released.home.statements / "3.json").read_bytes()
    released.coordinator.attested.clear()
    released.coordinator.lie.clear()
    released.run_once()
    assert [envelope for _, _, envelope in released.coordinator.attested] == [json.loads(made)]
    released.run_once()
    assert len(released.coordinator.attested) == 1


def test_what_is_refused_for_good_is_not_sent_for_ever(released: Bench) -> None:
    path = "blockchain/blocks/3/statements"
    released.coordinator.lie[path] = lambda _, __: httpx.Response(409, json={"code": "x", "detail": "no"})
    released.run_once()
    released.coordinator.lie.clear()
    released.coordinator.attested.clear()
    released.run_once()
    assert released.coordinator.attested == []


def test_by_hand_where_the_policy_says_so(make_bench: MakeBench) -> None:
    bench = release(make_bench(statements="manual"))
    bench.run_once()
    assert bench.coordinator.attested == []
    answer = bench.cli_json("attest", "1", "--model", NORMALISER)
    assert (answer["height"], answer["version"], answer["accepted"]) == (3, 1, True)
    assert len(sent(bench)) == 1
    again = bench.cli_json("attest", "--model", NORMALISER)
    assert again["file"] == answer["file"]
    first, second = bench.coordinator.attested
    assert first == second
    bench.cli_json("attest", "2", "--model", NORMALISER, exit_code=ExitCode.CHECK_FAILED)


class TestVerifyingOffline:
    @pytest.fixture
    def files(self, released: Bench, tmp_path: Path) -> tuple[Path, Path, str]:
        released.run_once()
        exported = tmp_path / "chain.jsonl"
        genesis = released.coordinator.genesis
        exported.write_bytes(b"".join(export.lines(genesis, released.coordinator.records)))
        return released.home.statements / "3.json", exported, genesis

    def verify(self, *arguments: Any, exit_code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["verify-statement", *map(str, arguments)])
        assert result.exit_code == exit_code, result.output
        return result

    def test_an_envelope(self, files: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLXDR_AGENT_HOME", "/nowhere")
        file, exported, genesis = files
        told = self.verify(file, "--export", exported, "--genesis", genesis).output.replace("\n", "")
        assert "org-a attests edge-normaliser@v1" in told
        assert "with an update of its own in it" in told
        result = self.verify(file, "--export", exported, "--genesis", genesis, "--json")
        (found,) = json.loads(result.stdout)["statements"]
        assert (found["org_id"], found["height"], found["own_update"]) == (ORG, 3, True)
        assert found["key_retired_at"] is None

    def test_what_the_coordinator_answers(self, files: tuple[Path, Path, str], tmp_path: Path) -> None:
        file, exported, genesis = files
        answer = {"height": 3, "statements": [{"org_id": ORG, "envelope": json.loads(file.read_bytes())}]}
        (tmp_path / "answer.json").write_text(json.dumps(answer))
        result = self.verify(tmp_path / "answer.json", "--export", exported, "--genesis", genesis, "--json")
        assert len(json.loads(result.stdout)["statements"]) == 1

    def test_a_lie_is_named(self, files: tuple[Path, Path, str]) -> None:
        file, exported, genesis = files
        envelope = Envelope.from_json(json.loads(file.read_bytes()))
        assert read_statement(envelope).predicate.block.height == 3
        lie = envelope.payload.replace(b'"trained":true', b'"trained":false')
        changed = Envelope(envelope.payload_type, lie, envelope.signatures)
        file.write_text(json.dumps(changed.as_json()))
        told = self.verify(file, "--export", exported, "--genesis", genesis, exit_code=ExitCode.CHECK_FAILED)
        assert "did not train" in told.output

    def test_another_genesis_and_no_genesis(self, files: tuple[Path, Path, str]) -> None:
        file, exported, _ = files
        told = self.verify(file, "--export", exported, "--genesis", "0" * 64, exit_code=ExitCode.CHECK_FAILED)
        assert "genesis_mismatch" in told.output
        assert "no --genesis was given" in self.verify(file, "--export", exported).output

    @pytest.mark.parametrize("content", [b"", b"[]", b'{"payload": 1}', b'{"statements": [{}]}'])
    def test_what_is_no_statement(self, files: tuple[Path, Path, str], content: bytes) -> None:
        file, exported, _ = files
        file.write_bytes(content)
        self.verify(file, "--export", exported, exit_code=ExitCode.USAGE)

    def test_files_that_are_not_there(self, files: tuple[Path, Path, str], tmp_path: Path) -> None:
        file, exported, _ = files
        self.verify(tmp_path / "none", "--export", exported, exit_code=ExitCode.USAGE)
        self.verify(file, "--export", tmp_path / "none", exit_code=ExitCode.USAGE)

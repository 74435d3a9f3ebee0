"""`manage.py verify_installation`: every group finds what is broken in it, and the whole holds here."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from benchmarks.chain import generate
from federation.aggregation import engine, registry
from flxdr.core.keys import Algorithm
from flxdr.demo.coordinator import SealedBlock
from flxdr.installation import coordinator, imports, kernels
from flxdr.installation.outcome import Broken
from flxdr.installation.routes import FIELDS, Asked
from flxdr.installation.run import GROUPS, attempt
from ledger.chain.block import parse_header
from ledger.chain.record import ChainRecord
from ledger.chain.verify import verify_chain
from tests.support.processes import REPOSITORY, clean_environment


@pytest.fixture(scope="module")
def records() -> list[ChainRecord]:
    return list(generate(4, Algorithm.ED25519))


def test_the_whole_holds(tmp_path: Path) -> None:
    """As its user runs it, beside a configured coordinator that it must not touch."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "verify_installation", "--json"],
        env=clean_environment({"FL_DATA_DIR": str(tmp_path / "state"), "FL_TRAINING_ROUNDS": "3"}),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert {outcome["group"] for outcome in outcomes if outcome["holds"]} == set(GROUPS)
    assert not (tmp_path / "state" / "fl_blockchain.db").exists()


def test_a_group_that_breaks_says_how() -> None:
    outcome = attempt("privacy", lambda: str(1 / 0))
    assert (outcome.holds, outcome.evidence) == (False, "ZeroDivisionError: division by zero")


def test_imports_finds_a_module_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"broken_{secrets.token_hex(4)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "part.py").write_text("import a_package_that_nobody_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "1 modules" not in attempt("imports", lambda: imports.imports((name,))).evidence
    assert "a_package_that_nobody_installed" in attempt("imports", lambda: imports.imports((name,))).evidence


BREAKS: dict[str, tuple[str, Any, str]] = {
    "noise that is too weak": (
        "discrete_gaussian.sample",
        lambda sigma, count: np.random.default_rng(1).normal(0, sigma * 0.97, count),
        "another deviation",
    ),
    "noise with a mean": (
        "discrete_gaussian.sample",
        lambda sigma, count: np.random.default_rng(1).normal(20, sigma, count),
        "a mean",
    ),
    "a calibration beside the budget": ("calibrated_multiplier_ppm", lambda **_: 12_000_000, "exactly epsilon 1"),
    "masks that do not mask": ("masks.add", lambda vector, seeds: None, "is not masked"),
    "masks that stay": ("masks.subtract", lambda vector, seeds: None, "not the plain one"),
    "an encrypted sum of one": ("encryption.add", lambda public, columns: columns[0], "not the plain one"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_privacy_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, broken, said = BREAKS[name]
    module, _, member = path.rpartition(".")
    monkeypatch.setattr(getattr(kernels, module) if module else kernels, member, broken)
    outcome = attempt("privacy", kernels.privacy)
    assert not outcome.holds
    assert said in outcome.evidence


def test_models_finds_a_training_that_learns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "add_update", lambda model, update: model - 8 * update)
    outcome = attempt("models", kernels.models)
    assert not outcome.holds
    assert "does not lower the loss" in outcome.evidence


def test_aggregation_finds_another_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, oracle = kernels.ORACLES["FedAvg"]
    monkeypatch.setitem(kernels.ORACLES, "FedAvg", (lambda: registry.build("FedProx"), oracle))
    assert "FedAvg is not its formula" in attempt("aggregation", kernels.aggregation).evidence
    monkeypatch.setitem(kernels.ORACLES, "FedAvg", (strategy, oracle))
    assert attempt("aggregation", kernels.aggregation).holds


def test_aggregation_finds_that_the_order_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine.aggregate

    def first_counts_more(strategy: Any, cohort: Any, **options: Any) -> Any:
        found = whole(strategy, cohort, **options)
        return replace(found, update=found.update + np.int32(cohort.updates[0][0] if options else 0))

    monkeypatch.setattr(kernels, "aggregate", first_counts_more)
    assert "order of arrival" in attempt("aggregation", kernels.aggregation).evidence


def test_ledger_finds_a_verifier_that_believes(records: list[ChainRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"{len(records)} blocks verify" in coordinator.tampered(records)
    damaged = [*records[:2], replace(records[2], approvals=()), *records[3:]]
    with pytest.raises(Broken, match="does not verify"):
        coordinator.tampered(damaged)
    honest = verify_chain(records)
    monkeypatch.setattr(coordinator, "verify_chain", lambda _records: honest)
    with pytest.raises(Broken, match="is not found"):
        coordinator.tampered(records)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda blocks: [], "0 blocks release"),
        (lambda blocks: [replace(blocks[0], approved_by=frozenset({"coordinator"}))], "an approval is missing"),
        (lambda blocks: [_trained_by(blocks[0], 2)], "not every member trained"),
        (lambda blocks: [blocks[0], blocks[0]], "2 blocks release"),
    ],
)
def test_federation_finds(
    records: list[ChainRecord], change: Callable[[Sequence[SealedBlock]], list[SealedBlock]], said: str
) -> None:
    header = parse_header(records[-1].header)
    assert header.provenance is not None
    block = _trained_by(SealedBlock(header, frozenset()), coordinator.MEMBERS)
    assert block.header.provenance is not None
    block = replace(block, approved_by=frozenset({*block.header.provenance.training_orgs, "coordinator"}))
    assert "approved block" in coordinator.released([block], header.provenance.round_id)
    with pytest.raises(Broken, match=said):
        coordinator.released(change([block]), header.provenance.round_id)


def _trained_by(block: SealedBlock, members: int) -> SealedBlock:
    assert block.header.provenance is not None
    names = tuple(hashlib.sha256(bytes([number])).hexdigest()[:8] for number in range(members))
    provenance = structs.replace(block.header.provenance, training_orgs=names)
    return replace(block, header=structs.replace(block.header, provenance=provenance))


@pytest.mark.parametrize("endpoint", FIELDS)
def test_routes_finds_a_field_that_is_missing(endpoint: str) -> None:
    whole = dict.fromkeys(FIELDS[endpoint], "x")
    for name in whole:
        asked = Asked(_Answering({key: value for key, value in whole.items() if key != name}))  # type: ignore[arg-type]
        with pytest.raises(Broken, match=name):
            asked.post(endpoint, {})
        assert asked.answered == set()
    asked = Asked(_Answering(whole))  # type: ignore[arg-type]
    asked.post(endpoint, {})
    assert asked.answered == {endpoint}


class _Answering:
    """A coordinator that says one thing."""

    def __init__(self, answer: dict[str, str]) -> None:
        self._answer = answer

    def post(self, path: str, body: Any, token: Any) -> dict[str, str]:
        return self._answer

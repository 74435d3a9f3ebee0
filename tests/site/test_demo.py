"""The demo's own decisions: what it checks, what it clears, what files its organisations get."""

from dataclasses import replace
from pathlib import Path

import pytest

from flxdr.core.errors import Missing
from flxdr.demo import checks, records
from flxdr.demo.coordinator import SealedBlock
from flxdr.demo.detections import Alert, Detections, strongest
from flxdr.demo.errors import DemoFailed
from flxdr.demo.run import MARKER, Options, clear
from ledger.chain.block import ZERO_HASH, Governance, Header, Provenance
from models_ml import synthetic

ORGANIZATIONS = ("a", "b", "c", "d", "e")


def release(round_id: str, approved_by: str) -> SealedBlock:
    provenance = Provenance(
        round_id=round_id,
        round_number=1,
        config_hash=ZERO_HASH,
        model_name="m",
        model_version=1,
        parent_model_hash=None,
        aggregation_method="FedAvg",
        aggregation_params={},
        weighting="capped",
        optimizer_state_hash=None,
        protection="plain",
        training_orgs=ORGANIZATIONS,
        samples_total=1,
        submissions_root=ZERO_HASH,
        privacy={"mechanism": "none"},
        metrics_ppm={},
    )
    header = Header(
        v=1,
        type="release",
        chain_id=ZERO_HASH,
        height=1,
        timestamp="2026-01-01T00:00:00.000000Z",
        prev_hash=ZERO_HASH,
        prev_cert=ZERO_HASH,
        model_hash=ZERO_HASH,
        provenance=provenance,
        governance=Governance(rule="quorum", voters=ORGANIZATIONS, threshold=4, actions=()),
    )
    return SealedBlock(header, frozenset(approved_by) | {"coordinator"})


@pytest.mark.parametrize(
    ("blocks", "holds"),
    [
        ([release("r1", "abcd"), release("r2", "abcde")], True),
        ([release("r1", "abcd"), release("r2", "abc")], False),  # 3 of 5 are not more than two thirds
        ([release("r1", "abcd"), release("r2", "abcxyz")], False),  # strangers do not count
        ([release("r1", "abcd")], False),  # a round without its release
        ([release("r1", "abcd"), release("r2", "abcd"), release("r2", "abcd")], False),  # a round with two
        ([release("r1", "abcd"), release("r2", "abcd"), release("former", "a")], True),
    ],
)
def test_quorum(blocks: list[SealedBlock], holds: bool) -> None:
    assert checks.quorum(blocks, ["r1", "r2"]).holds is holds


@pytest.mark.parametrize(
    ("federated", "alone", "real", "holds"),
    [(0.81, 0.66, True, True), (0.80, 0.66, True, False), (0.67, 0.66, False, True), (0.66, 0.66, False, False)],
)
def test_gain(federated: float, alone: float, real: bool, holds: bool) -> None:
    assert checks.gain(federated, alone, real=real).holds is holds


@pytest.mark.parametrize("valid", [True, False])
def test_chain(valid: bool) -> None:
    bad = None if valid else {"height": 3, "code": "signature_invalid"}
    answer = {"chain_valid": valid, "blocks_verified": 3, "last_block_hash": "ab" * 32, "first_bad": bad}
    found = checks.chain(answer)
    assert found.holds is valid
    assert valid or "signature_invalid" in found.evidence


def test_generated_files_read_as_what_was_generated(tmp_path: Path) -> None:
    files = records.generate(tmp_path)
    expected = synthetic.generate(records.SEED)
    assert set(files) == set(expected)
    for name, file in files.items():
        for read, made in ((file.read_train(), expected[name].train), (file.read_test(), expected[name].test)):
            assert read.family_counts() == made.family_counts()
            assert read.t == pytest.approx(made.t, abs=1e-6)


def test_a_folder_without_the_captures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="has no zeek_conn_dev"):
        records.divide_captures(tmp_path, tmp_path / "out")


def test_only_a_demos_own_folder_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    options = Options(
        folder=folder, data=None, keep=False, protection="secagg", leave=True, port=8000, project=tmp_path
    )
    folder.mkdir()
    (folder / "precious").touch()
    with pytest.raises(DemoFailed, match="was not made by a demo"):
        clear(options)
    assert (folder / "precious").exists()
    (folder / MARKER).write_text("8000\n")
    clear(replace(options, keep=True))
    assert (folder / "precious").exists()
    clear(options)
    assert list(folder.iterdir()) == []


def alert(score: float = 0.9, family: str = "Scan", model: str = "m", height: int = 7) -> Alert:
    return {
        "score": score,
        "family": family,
        "model": {"hash": model, "block_height": height},
        "recommendation": {"action": "block_ip"},
    }


@pytest.mark.parametrize(
    ("alerts", "holds"),
    [
        ([alert(), alert(family="C2")], True),
        ([], False),  # nothing was detected, so nothing is shown
        ([alert(), alert(model="another")], False),
        ([alert(), alert(height=6)], False),
    ],
)
def test_alerts_name_what_vouches_for_them(alerts: list[Alert], holds: bool) -> None:
    released = {"model_hash": "m", "block_height": 7}
    assert checks.vouched([Detections("a", alerts), Detections("b", [])], released).holds is holds


def test_of_every_family_the_strongest_alert_is_shown() -> None:
    found = Detections("a", [alert(0.9), alert(0.8, "C2"), alert(0.7)])
    assert [(each["family"], each["score"]) for each in strongest(found)] == [("Scan", 0.9), ("C2", 0.8)]
    assert found.by_family == {"Scan": 2, "C2": 1}

"""The verifier on honest chains: what it reports, what it remembers, what it warns of."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from flxdr.core.errors import Malformed
from flxdr.core.keys import Algorithm
from ledger.chain.block import parse_header
from ledger.chain.entries import PolicyEntry
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.chain.verify import Anchor, verify_chain
from tests.ledger.chains import ChainBuilder, federation, hash_of, key_of, provenance, with_columns


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_an_honest_chain_is_valid(algorithm: Algorithm) -> None:
    chain = federation("org-a", "org-b", "org-c", releases=2, algorithm=algorithm)
    report = verify_chain(map(with_columns, chain.records), genesis=chain.chain_id, tip=5).report
    assert report.chain_valid
    assert report.blocks_verified == 6
    assert report.unanchored == 6
    assert report.first_bad is None
    assert report.suspect_range is None
    assert report.last_good_checkpoint is None
    assert report.covers == {"from": 0, "to": 5, "signatures_from": 0}
    assert json.loads(json.dumps(report.as_json()))["chain_valid"] is True


def test_blocks_of_the_coordinator_alone_are_warned_of() -> None:
    chain = federation("org-a", "org-b", releases=1)
    (warning,) = chain.verified().report.warnings
    assert warning.startswith("2 block(s) between heights 1 and 2 sealed by the coordinator alone")
    assert [parse_header(record.header).governance.rule for record in chain.records] == [
        "genesis",
        "coordinator-only",
        "coordinator-only",
        "quorum",
    ]


def test_operator_method_is_warned_of() -> None:
    policy = PolicyEntry(method="operator", numerator=2, denominator=3, minimum=2)
    chain = ChainBuilder(policy=policy)
    chain.admit("org-a", "org-b")
    chain.release(1, orgs=["org-a", "org-b"])
    report = chain.verified().report
    assert report.chain_valid
    assert "policy on the chain" in report.warnings[0]


@pytest.mark.parametrize("split", range(1, 7))
def test_a_remembered_state_continues(split: int) -> None:
    chain = federation("org-a", "org-b", "org-c", releases=3)
    earlier = verify_chain(chain.records[:split]).state
    assert earlier is not None
    remembered = ChainState.from_json(json.loads(json.dumps(earlier.as_json())))
    assert remembered == earlier
    later = verify_chain(chain.records[split:], state=remembered, genesis=chain.chain_id)
    assert later.report.chain_valid
    assert later.report.blocks_verified == later.report.unanchored == len(chain.records) - split
    assert later.state == chain.verified().state


def test_nothing_new_is_valid_too() -> None:
    chain = federation("org-a", "org-b")
    state = chain.verified().state
    report = verify_chain([], state=state).report
    assert report.chain_valid
    assert (report.blocks_verified, report.unanchored) == (0, 0)
    assert state is not None
    assert report.last_block_hash == state.block_hash


def test_a_remembered_state_pins_the_genesis() -> None:
    state = federation("org-a", "org-b").verified().state
    bad = verify_chain([], state=state, genesis=hash_of("another")).report.first_bad
    assert bad is not None
    assert bad.code == "genesis_mismatch"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("policy"),
        lambda d: d.update(v=1),
        lambda d: d.update(height="x"),
        lambda d: d.update(members=[]),
        lambda d: d.update(releases={"global": {"newest": [1]}}),
        lambda d: d.pop("retired"),
        lambda d: d.update(policy={"method": "none"}),
    ],
)
def test_a_damaged_memory_is_refused(change: object) -> None:
    state = federation("org-a").verified().state
    assert state is not None
    document = state.as_json()
    change(document)  # type: ignore[operator]
    with pytest.raises(Malformed):
        ChainState.from_json(document)


def test_unanchored_counts_from_what_is_remembered() -> None:
    chain = federation("org-a", "org-b", releases=4)
    middle = verify_chain(chain.records[:4]).state
    assert middle is not None
    report = chain.verified(anchor=Anchor(middle.height, middle.block_hash)).report
    assert report.chain_valid
    assert report.unanchored == 3


def test_signatures_below_a_height_can_be_skipped() -> None:
    chain = federation("org-a", "org-b", releases=3)
    broken = ChainRecord(
        chain.records[3].header,
        [chain.approval(b"other bytes", approval.org_id) for approval in chain.records[3].approvals],
    )
    # The next block's prev_cert would tell as well; so the skipped block is the newest one here.
    records = [*chain.records[:3], broken]
    skipped = verify_chain(records, signatures_from=4).report
    assert skipped.chain_valid
    assert any("signatures below height 4" in warning for warning in skipped.warnings)
    assert not verify_chain(records, signatures_from=3).report.chain_valid


def test_progress_is_told_per_block() -> None:
    chain = federation("org-a", "org-b", releases=1)
    heights: list[int] = []
    chain.verified(progress=heights.append)
    assert heights == [0, 1, 2, 3]


@pytest.mark.parametrize(("minutes", "valid"), [(4, True), (6, False)])
def test_blocks_of_the_future(minutes: int, valid: bool) -> None:
    chain = federation("org-a")
    now = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(minutes=minutes)
    report = chain.verified(now=now).report
    assert report.chain_valid is valid
    assert report.first_bad is None or report.first_bad.code == "timestamp_future"


def test_the_first_release_may_name_any_parent() -> None:
    for parent in (None, hash_of("somewhere else")):
        chain = federation("org-a", "org-b")
        release = provenance(4, orgs=["org-a", "org-b"], model_version=1, parent_model_hash=parent)
        chain.append(chain.release_header(release))
        assert chain.verified().report.chain_valid


def test_models_have_lineages_of_their_own() -> None:
    chain = federation("org-a", "org-b", releases=2)
    chain.append(chain.release_header(provenance(1, orgs=["org-a"], model_name="edge", round_id="edge-1")))
    chain.release(3, orgs=["org-a", "org-b"])
    report = chain.verified()
    assert report.report.chain_valid
    assert report.state is not None
    assert {name: lineage.newest.version for name, lineage in report.state.releases.items()} == {"global": 3, "edge": 1}


def test_a_round_that_changed_nothing_repeats_the_model() -> None:
    chain = federation("org-a", "org-b", releases=1)
    model = hash_of("global 1")
    chain.append(chain.release_header(provenance(2, orgs=["org-a", "org-b"], parent_model_hash=model), model))
    assert chain.verified().report.chain_valid


def test_a_further_key_with_its_owners_word() -> None:
    chain = federation("org-a", "org-b")
    second = key_of("org-a second", Algorithm.ML_DSA_65)
    chain.append(chain.governance_header(chain.admission("org-a", second, endorser=chain.keys["org-a"])))
    chain.keys["org-a"] = second
    chain.release(1, orgs=["org-a", "org-b"])
    assert chain.verified().report.chain_valid


def test_records_survive_the_export() -> None:
    chain = federation("org-a", "org-b", releases=1)
    exported = json.loads(json.dumps([record.as_json(height) for height, record in enumerate(chain.records)]))
    assert verify_chain(map(ChainRecord.from_json, exported)).state == chain.verified().state


def test_the_verifier_runs_without_django() -> None:
    code = (
        "import sys, ledger.chain.verify, ledger.chain.merkle;"
        "sys.exit(any(name.split('.')[0] in ('django', 'rest_framework', 'celery') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""What no verification of the chain alone can see, and what shows it: this is what pins and checkpoints are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from flxdr.core.clock import ManualClock
from ledger.chain import export
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.block import block_hash
from ledger.chain.record import ChainRecord
from ledger.chain.verify import Report, verify_chain
from ledger.errors import ExportInvalid
from ledger.models import Block
from ledger.services.restoring import restore_chain
from ledger.services.verification import verify_ledger
from tests.ledger.chain.test_standalone import judged
from tests.ledger.checkpoints import checkpoint_file
from tests.ledger.tampering import MEMBERS, NOW, RELEASES, TIP, honest
from tests.ledger.unseen import UNSEEN, replaced, rewritten

CLOCK = ManualClock(NOW)
pytestmark = pytest.mark.usefixtures("empty_ledger")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chain.jsonl"


def held() -> HeldCheckpoint:
    chain = honest()
    return HeldCheckpoint.read(checkpoint_file(chain.records, TIP + 1, coordinator=chain.coordinator))


def stored(records: Sequence[ChainRecord], file: Path) -> None:
    """A database whose operator made everything in it fit."""
    file.write_bytes(b"".join(export.lines(block_hash(records[0].header), records)))
    restore_chain(path=file, clock=CLOCK)


def first_bad(report: Report) -> tuple[int, str] | None:
    return (report.first_bad.height, report.first_bad.code) if report.first_bad else None


@pytest.mark.parametrize("name", UNSEEN)
def test_the_chain_alone_does_not_show_it(name: str, file: Path) -> None:
    records = UNSEEN[name][0](honest())
    stored(records, file)
    with file.open("rb") as lines:
        assert first_bad(verify_chain(export.records(lines), now=NOW).report) is None
    assert judged(records, "") == (len(records) - 1, None)
    report = verify_ledger(clock=CLOCK)
    assert first_bad(report) is None
    assert report.unanchored == len(records)


@pytest.mark.parametrize("name", UNSEEN)
def test_a_checkpoint_shows_it(name: str, file: Path) -> None:
    make, expected = UNSEEN[name]
    stored(make(honest()), file)
    with file.open("rb") as lines:
        report = verify_chain(export.records(lines), tree=TreeWatch([held()]), now=NOW).report
    assert first_bad(report) == expected
    assert first_bad(verify_ledger(clock=CLOCK, checkpoints=[held()])) == expected


@pytest.mark.parametrize("name", UNSEEN)
def test_a_restore_refuses_it_by_a_checkpoint(name: str, file: Path, empty_ledger: None) -> None:
    make, expected = UNSEEN[name]
    file.write_bytes(b"".join(export.lines("", make(honest()))))
    if expected is None:
        restore_chain(path=file, clock=CLOCK, checkpoints=[held()])
        return
    with pytest.raises(ExportInvalid) as refused:
        restore_chain(path=file, clock=CLOCK, checkpoints=[held()])
    assert (refused.value.fields["height"], refused.value.fields["check"]) == expected
    assert not Block.objects.exists()


def test_a_pin_shows_a_replaced_chain(file: Path) -> None:
    records = replaced(honest())
    stored(records, file)
    pin = honest().chain_id
    with file.open("rb") as lines:
        assert first_bad(verify_chain(export.records(lines), genesis=pin).report) == (0, "genesis_mismatch")
    assert first_bad(verify_ledger(clock=CLOCK, genesis=pin)) == (0, "genesis_mismatch")
    assert judged(records, "", genesis=pin)[0] == -1


def test_the_next_block_shows_a_stripped_approval() -> None:
    chain = honest()
    chain.release(RELEASES + 1, orgs=MEMBERS)
    records = [*chain.records[:TIP], replace(chain.records[TIP], approvals=chain.records[TIP].approvals[:-1])]
    assert first_bad(verify_chain([*records, chain.tip]).report) == (TIP + 1, "prev_cert_mismatch")
    assert judged([*records, chain.tip], "")[0] == TIP


def test_a_split_view_shows_when_its_halves_are_compared() -> None:
    """Two clients are shown two chains that a quorum signed; each holds a checkpoint of its own, which agrees."""
    views = [honest().records, rewritten(honest())]
    coordinator = honest().coordinator
    checkpoints = [HeldCheckpoint.read(checkpoint_file(view, TIP + 1, coordinator=coordinator)) for view in views]
    for number, view in enumerate(views):
        own = verify_chain(view, tree=TreeWatch([checkpoints[number]])).report
        other = verify_chain(view, tree=TreeWatch([checkpoints[1 - number]])).report
        assert (first_bad(own), first_bad(other)) == (None, (TIP, "checkpoint_root_mismatch"))

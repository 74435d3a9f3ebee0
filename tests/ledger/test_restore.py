"""An export put back: whole, in part, into the wrong place, and by somebody who changed it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

from flxdr.core.clock import ManualClock, SystemClock
from flxdr.platform.audit import record_event
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.chain import export
from ledger.chain.entries import COORDINATOR, Action
from ledger.errors import ExportInvalid, RestoreConflict
from ledger.models import Approval, Block, GovernanceEntry, Proposal, SignerKey, TreeNode
from ledger.services import listeners, restoring
from ledger.services.genesis import ensure_genesis
from ledger.services.restoring import Restored, restore_chain
from ledger.services.verification import verify_ledger
from ledger.services.verified import verify_stored
from tests.ledger.chain.test_broken_rules import SIGNED
from tests.ledger.chains import hash_of, key_of, provenance, write_export
from tests.ledger.members import Consortium
from tests.ledger.tampering import MEMBERS, NOW, TIP, honest
from tests.ledger.tamperings import STORED

CLOCK = SystemClock()
ROWS = (Block, Approval, TreeNode, SignerKey, GovernanceEntry)
pytestmark = pytest.mark.usefixtures("empty_ledger")


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "BATCH", 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chain.jsonl"


def restore(file: Path, **options: Any) -> Restored:
    return restore_chain(path=file, clock=CLOCK, **options)


def stored() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in ROWS]


def exported() -> bytes:
    return b"".join(export.lines(selectors.chain_id(), selectors.chain_records()))


def test_into_an_empty_database_and_out_again(file: Path) -> None:
    chain = honest()
    data = write_export(file, chain)
    seen: list[tuple[int, int]] = []
    restored = restore(file, genesis=chain.chain_id, progress=lambda done, total: seen.append((done, total)))
    assert (restored.held, restored.state) == (0, chain.verified().state)
    assert seen == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    report = verify_ledger(clock=CLOCK, genesis=chain.chain_id)
    assert (report.chain_valid, report.blocks_verified) == (True, TIP + 1)
    assert exported() == data
    assert selectors.chain_state("global") == chain.verified().state
    assert restore(file).held == TIP + 1
    assert exported() == data


@pytest.mark.parametrize("held", range(1, TIP + 1))
def test_onto_a_prefix(file: Path, held: int) -> None:
    chain = honest()
    write_export(file, chain, chain.records[:held])
    restore(file)
    data = write_export(file, chain)
    assert restore(file).held == held
    assert exported() == data
    assert verify_ledger(clock=CLOCK).chain_valid


@pytest.mark.parametrize("batches", range(5))
def test_one_that_broke_off_goes_on(file: Path, batches: int) -> None:
    chain = honest()
    data = write_export(file, chain)
    after = iter(range(batches))

    def stop(done: int, total: int) -> None:
        if next(after, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(file, progress=stop)
    assert verify_ledger(clock=CLOCK).chain_valid
    assert 0 < restore(file).held < TIP + 1 or batches == 4
    assert exported() == data


def test_what_a_database_holds_already_is_not_taken_back(file: Path) -> None:
    chain = honest()
    write_export(file, chain)
    restore(file)
    write_export(file, chain, chain.records[:-1])
    before = stored()
    with pytest.raises(RestoreConflict, match=f"ends at height {TIP - 1}, behind the database's {TIP}"):
        restore(file)
    assert stored() == before


def test_a_fork_is_refused_at_its_height(file: Path) -> None:
    chain = honest()
    write_export(file, chain)
    restore(file)
    chain.records = chain.records[:-2]
    for number in (3, 4, 5):
        chain.release(number, orgs=MEMBERS, samples_total=7)
    assert chain.verified().report.chain_valid
    write_export(file, chain)
    before = stored()
    with pytest.raises(RestoreConflict) as refused:
        restore(file)
    assert refused.value.fields["height"] == TIP - 1
    assert stored() == before


def test_approvals_that_differ_at_the_tip_are_a_contradiction(file: Path) -> None:
    chain = honest()
    write_export(file, chain, [*chain.records[:-1], replace(chain.tip, approvals=chain.tip.approvals[:-1])])
    restore(file)
    write_export(file, chain)
    with pytest.raises(RestoreConflict, match=f"certificate {TIP}"):
        restore(file)


@pytest.mark.parametrize("name", STORED)
def test_a_tampered_export_leaves_nothing_beyond_its_good_blocks(file: Path, name: str) -> None:
    """What breaks the structure is seen before anything is stored; a signature, when its block is appended."""
    make, height, code = STORED[name]
    chain = honest()
    write_export(file, chain, make(chain))
    with pytest.raises(ExportInvalid) as refused:
        restore_chain(path=file, clock=ManualClock(NOW))
    assert (refused.value.fields["height"], refused.value.fields["check"]) == (height, code)
    if Block.objects.exists():
        assert (code, Block.objects.count()) == ("approval_signature", TIP)  # in batches of two, the tip alone is bad
        assert verify_ledger(clock=CLOCK).chain_valid
        honest_data = write_export(file, honest())
        restore(file)
        assert exported() == honest_data


def test_a_block_that_breaks_a_rule_is_not_restored(file: Path) -> None:
    make, code, _ = SIGNED["unknown parent"]
    chain = honest()
    chain.append(make(chain), [COORDINATOR, *MEMBERS])
    write_export(file, chain)
    with pytest.raises(ExportInvalid, match=code):
        restore(file)
    assert not Block.objects.exists()


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[:-30], lambda data: data.replace(b"{", b"[", 1), lambda data: data[200:]],
)
def test_a_damaged_file_leaves_nothing(file: Path, damage: Callable[[bytes], bytes]) -> None:
    file.write_bytes(damage(write_export(file, honest())))
    with pytest.raises(ExportInvalid):
        restore(file)
    assert not Block.objects.exists()


def test_another_genesis_than_the_pinned_one(file: Path) -> None:
    write_export(file, honest())
    with pytest.raises(ExportInvalid, match="genesis_mismatch"):
        restore(file, genesis=hash_of("another"))
    assert not Block.objects.exists()


class TestAFreshDatabase:
    """Its migration made a genesis, which is another one than the export's."""

    @pytest.fixture(autouse=True)
    def fresh(self, empty_ledger: None) -> str:
        return ensure_genesis(clock=CLOCK).block_hash

    def test_is_left_alone(self, file: Path) -> None:
        write_export(file, honest())
        before = stored()
        with pytest.raises(RestoreConflict, match="--replace-fresh"):
            restore(file)
        assert stored() == before

    def test_gives_way_if_asked_to(self, file: Path, fresh: str) -> None:
        data = write_export(file, honest())
        verify_stored(clock=CLOCK, actor="operator:root")
        assert selectors.last_pass() is not None
        restore(file, replace_fresh=True)
        assert selectors.last_pass() is None  # it was about the chain that is gone
        assert exported() == data
        assert verify_ledger(clock=CLOCK).chain_valid
        assert AuditEvent.objects.get(kind="genesis.replaced").data == {"block_hash": fresh}
        assert restore(file, replace_fresh=True).held == TIP + 1

    def test_stays_if_the_export_is_bad(self, file: Path) -> None:
        before = stored()
        chain = honest()
        first = chain.records[0]
        forged = replace(first, approvals=[replace(first.approvals[0], signature=bytes(64))])
        for records in ([first, *chain.records[2:]], [forged]):
            write_export(file, chain, records)
            with pytest.raises(ExportInvalid):
                restore(file, replace_fresh=True)
            assert stored() == before

    def test_in_which_something_happened_is_not_fresh(self, file: Path) -> None:
        record_event(kind="organization.registered", actor="org-a", subject="org-a", data={})
        write_export(file, honest())
        before = stored()
        with pytest.raises(RestoreConflict, match="in use"):
            restore(file, replace_fresh=True)
        assert stored() == before


class Listener:
    """Remembers which releases it was told of."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def release_sealed(self, *, proposal: Proposal, block: Block) -> None:
        self.told.append(("sealed", block.height))

    def entry_sealed(self, *, block: Block, entry: Action, clock: Any) -> None:
        self.told.append(("entry", block.height))

    def proposal_ended(self, *, proposal: Proposal, reason: str) -> None:
        self.told.append(("ended", proposal.status))


def listening() -> Listener:
    listener = Listener()
    listeners.register(listener)
    return listener


class TestAProposalThatWasOpenInTheBackup:
    """A database of last night, an export of this morning."""

    @pytest.fixture
    def backup(self, consortium: Consortium) -> Consortium:
        consortium.clock.advance(CLOCK.now() - consortium.clock.now() - timedelta(hours=1))
        consortium.admit("org-a", "org-b")
        return consortium

    @pytest.mark.parametrize("batch", [1, 500])
    def test_is_sealed_if_the_export_holds_its_block(
        self, file: Path, backup: Consortium, monkeypatch: pytest.MonkeyPatch, batch: int
    ) -> None:
        monkeypatch.setattr(restoring, "BATCH", batch)
        proposal = backup.countersign(backup.propose_release(1, ["org-a", "org-b"]))
        before = [*selectors.chain_records()]
        data = _grown(file, backup, proposal)
        listener = listening()
        assert restore(file).held == len(before)
        proposal.refresh_from_db()
        assert proposal.status == Proposal.Status.SEALED
        assert listener.told == [("sealed", 3)]
        assert exported() == data
        assert verify_ledger(clock=CLOCK).chain_valid

    def test_is_withdrawn_if_the_chain_went_another_way(self, file: Path, backup: Consortium) -> None:
        data = _grown(file, backup, None)
        proposal = backup.countersign(backup.propose_release(1, ["org-a", "org-b"], samples_total=5))
        waiting = backup.propose_admission("org-c")
        listener = listening()
        restore(file)
        proposal.refresh_from_db()
        waiting.refresh_from_db()
        assert proposal.status == Proposal.Status.WITHDRAWN
        assert listener.told == [("ended", "withdrawn")]
        assert (waiting.status, waiting.height) == (Proposal.Status.OPEN, 5)
        assert exported() == data
        backup.seal(waiting)
        assert verify_ledger(clock=CLOCK).chain_valid

    def test_with_an_answer_that_the_certificate_lacks_is_a_contradiction(self, file: Path, backup: Consortium) -> None:
        backup.admit("org-c", "org-d")
        proposal = backup.propose_release(1, MEMBERS)
        _grown(file, backup, proposal)
        backup.approve(proposal, "org-d")
        before = stored()
        with pytest.raises(RestoreConflict, match="another answer of org-d"):
            restore(file)
        assert stored() == before


@pytest.mark.parametrize("open_in_the_backup", [False, True])
def test_what_was_governed_since_the_backup_is_followed(
    file: Path, consortium: Consortium, open_in_the_backup: bool
) -> None:
    """An organisation that rotated its key meanwhile is known by the new one, also where the rotation was open."""
    consortium.clock.advance(CLOCK.now() - consortium.clock.now() - timedelta(hours=1))
    consortium.admit("org-a", "org-b")
    rotation = consortium.propose_rotation("org-a", key_of("org-a, next")) if open_in_the_backup else None
    listener = listening()
    with transaction.atomic():
        consortium.seal(rotation or consortium.propose_rotation("org-a", key_of("org-a, next")))
        data = exported()
        transaction.set_rollback(True)
    file.write_bytes(data)
    listener.told.clear()
    restore(file)
    assert listener.told == [("entry", 3)]
    assert [key.key_id for key in selectors.members()["org-a"]] == [key_of("org-a, next").public.key_id]


def _grown(file: Path, consortium: Consortium, proposal: Proposal | None) -> bytes:
    """Export what the chain becomes in a future that the database then forgets."""
    with transaction.atomic():
        orgs = proposal.voters if proposal else ["org-a", "org-b"]
        proposal = consortium.countersign(proposal or consortium.propose_release(1, orgs))
        for org_id in orgs[:-1] if len(orgs) > 2 else orgs:
            proposal = consortium.approve(proposal, org_id)
        consortium.clock.advance(timedelta(seconds=1))
        consortium.release(2, orgs)
        data = exported()
        transaction.set_rollback(True)
    file.write_bytes(data)
    return data


def test_what_was_not_exported_is_not_recomputable_and_never_bad(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_export(file, honest())
    restore(file)
    call_command("verify_chain", "--recompute", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["chain_valid"] is True
    assert answer["recomputation"]["holds"] is True
    assert [entry["height"] for entry in answer["recomputation"]["not_recomputable"]] == [5, 6, 7, 8]


def test_a_database_that_grows_meanwhile_ends_it(file: Path) -> None:
    chain = honest()
    write_export(file, chain)

    def grow(done: int, total: int) -> None:
        restore_chain(path=file, clock=CLOCK)

    with pytest.raises(RestoreConflict, match="grew meanwhile"):
        restore(file, progress=grow)
    assert verify_ledger(clock=CLOCK).chain_valid


def test_two_approvals_of_one_organization_are_not_dropped_on_the_way(file: Path) -> None:
    """Verifiers take them and count one; the next block's certificate covers both."""
    chain = honest()
    second = key_of("org-a, second")
    chain.append(chain.governance_header(chain.admission("org-a", second, endorser=chain.keys["org-a"])))
    record = chain.append(chain.release_header(provenance(5, orgs=MEMBERS)))
    chain.records[-1] = replace(record, approvals=[*record.approvals, chain.approval(record.header, "org-a", second)])
    chain.release(6, orgs=MEMBERS)
    assert chain.verified().report.chain_valid
    write_export(file, chain)
    with pytest.raises(RestoreConflict) as refused:
        restore(file)
    assert refused.value.fields["height"] == TIP + 2
    assert not Block.objects.exists()


def test_a_round_id_that_occurs_twice_is_refused(file: Path) -> None:
    """Verifiers compare the rounds' numbers, which cost no memory."""
    chain = honest()
    chain.release(5, orgs=MEMBERS, round_id="round-4-abc")
    assert chain.verified().report.chain_valid
    write_export(file, chain)
    with pytest.raises(RestoreConflict):
        restore(file)

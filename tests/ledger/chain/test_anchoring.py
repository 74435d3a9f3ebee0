"""Held checkpoints: what they show of a chain that verifies without them, and what is wrong with a bad one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from federation.agent.commands.app import app
from flxdr.core import dsse
from flxdr.core.errors import Malformed
from flxdr.core.keys import PrivateKey
from ledger.chain import checkpoint as notes
from ledger.chain import export
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.entries import COORDINATOR
from ledger.chain.record import ChainRecord
from ledger.chain.tree import Frontier
from ledger.chain.verify import Report, verify_chain
from tests.ledger import checkpoints
from tests.ledger.chains import POLICY, ChainBuilder, key_of
from tests.ledger.checkpoints import LOG
from tests.ledger.tampering import MEMBERS, TIP, honest

SIZE = TIP + 1


def checkpoint_file(chain: ChainBuilder, size: int, *, coordinator: PrivateKey | None = None) -> bytes:
    return checkpoints.checkpoint_file(chain.records, size, coordinator=coordinator or chain.coordinator)


def verified(records: Sequence[ChainRecord], *files: bytes, log_key: str | None = None) -> Report:
    held = [HeldCheckpoint.read(file, log_key) for file in files]
    return verify_chain(records, tree=TreeWatch(held), tip=len(records) - 1).report


def bad(report: Report) -> tuple[int, str]:
    assert not report.chain_valid
    assert report.first_bad is not None
    assert report.first_bad.expected != report.first_bad.actual
    return report.first_bad.height, report.first_bad.code


def rewritten() -> ChainBuilder:
    """Another history of the same genesis, from height 7 on, that the same quorum signed."""
    chain = honest()
    del chain.records[7:]
    for number in (3, 4):
        chain.release(number, orgs=MEMBERS, samples_total=2000)
    return chain


@pytest.mark.parametrize("size", range(1, SIZE + 1))
def test_the_chain_agrees_with_its_own_checkpoint(size: int) -> None:
    chain = honest()
    report = verified(chain.records, checkpoint_file(chain, size))
    assert report.chain_valid
    assert report.unanchored == SIZE - size
    assert report.last_good_checkpoint is not None
    assert report.last_good_checkpoint["size"] == size


def test_the_newest_of_several_counts() -> None:
    chain = honest()
    report = verified(chain.records, *(checkpoint_file(chain, size) for size in (5, 8, 3)))
    assert (report.unanchored, (report.last_good_checkpoint or {})["size"]) == (1, 8)


def test_a_rewrite_that_its_quorum_signed_shows_in_a_checkpoint_alone() -> None:
    chain, other = honest(), rewritten()
    assert verified(other.records).chain_valid
    assert verified(other.records, checkpoint_file(chain, 7)).chain_valid
    report = verified(other.records, checkpoint_file(chain, 5), checkpoint_file(chain, SIZE))
    assert bad(report) == (TIP, "checkpoint_root_mismatch")
    assert report.suspect_range == (5, TIP)
    assert (report.last_good_checkpoint or {})["size"] == 5
    assert report.blocks_verified == TIP


@pytest.mark.parametrize("length", [1, 5, TIP])
def test_a_truncation_shows_in_a_checkpoint_alone(length: int) -> None:
    chain = honest()
    short = chain.records[:length]
    assert verified(short).chain_valid
    assert bad(verified(short, checkpoint_file(chain, SIZE))) == (length, "checkpoint_beyond_chain")


def test_another_chain_is_named_as_such() -> None:
    other = ChainBuilder(policy=msgspec.structs.replace(POLICY, minimum=3))
    assert bad(verified(honest().records, checkpoint_file(other, 1))) == (0, "checkpoint_of_another_chain")


def test_a_block_that_is_bad_anyway_is_named_before_the_checkpoint() -> None:
    chain = honest()
    file = checkpoint_file(chain, 4)
    records = [*chain.records[:6], replace(chain.records[6], approvals=[]), *chain.records[7:]]
    report = verified(records, file)
    assert bad(report)[0] == 6
    assert (report.last_good_checkpoint or {})["size"] == 4


STRANGER = key_of("stranger")


@pytest.mark.parametrize(
    "forge",
    [
        lambda chain: checkpoint_file(chain, 6, coordinator=STRANGER),
        lambda chain: checkpoint_file(chain, 6, coordinator=chain.keys["org-a"]),
        lambda chain: resigned(checkpoint_file(chain, 6)),
        lambda chain: named(checkpoint_file(chain, 6), chain.coordinator.public.key_id, STRANGER),
    ],
    ids=[
        "statement by a stranger",
        "statement by a member",
        "note by another key",
        "stranger in the coordinator's name",
    ],
)
def test_a_checkpoint_that_the_chain_does_not_vouch_for(forge: Callable[[ChainBuilder], bytes]) -> None:
    chain = honest()
    report = verified(chain.records, forge(chain))
    assert bad(report) == (5, "checkpoint_signature")
    assert report.last_good_checkpoint is None


def resigned(file: bytes) -> bytes:
    """The same checkpoint, signed by another key than the statement names."""
    document = json.loads(file)
    document["note"] = notes.sign(notes.parse(document["note"].encode()).checkpoint, STRANGER).encode().decode()
    return json.dumps(document).encode()


def named(file: bytes, key_id: str, key: PrivateKey) -> bytes:
    """The same statement under the given key id, signed by `key`."""
    document = json.loads(file)
    envelope = dsse.Envelope.from_json(document["log_key_statement"])
    signature = dsse.sign(key, dsse.LOG_KEY_TYPE, envelope.payload)
    document["log_key_statement"] = replace(envelope, signatures=[(key_id, signature)]).as_json()
    return json.dumps(document).encode()


def test_a_forged_checkpoint_of_another_history_is_no_evidence_of_a_rewrite() -> None:
    file = checkpoint_file(rewritten(), SIZE, coordinator=STRANGER)
    assert bad(verified(honest().records, file)) == (TIP, "checkpoint_signature")


def test_a_note_alone_is_checked_by_the_key_that_is_given() -> None:
    chain = honest()
    note = json.loads(checkpoint_file(chain, 6))["note"].encode()
    key = notes.verifier_key(notes.origin_of(chain.chain_id), LOG.public)
    assert verified(chain.records, note, log_key=key).unanchored == SIZE - 6
    other = notes.verifier_key(notes.origin_of(chain.chain_id), STRANGER.public)
    assert bad(verified(chain.records, note, log_key=other)) == (5, "checkpoint_signature")
    with pytest.raises(Malformed, match="does not say whose signature counts"):
        HeldCheckpoint.read(note)


def test_the_given_key_counts_whatever_the_file_says() -> None:
    chain = honest()
    key = notes.verifier_key(notes.origin_of(chain.chain_id), LOG.public)
    assert verified(chain.records, checkpoint_file(chain, 6, coordinator=STRANGER), log_key=key).chain_valid


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b'{"note": 1}', b'{"note": "x\\n"}', b"[]"])
def test_what_is_no_checkpoint(data: bytes) -> None:
    with pytest.raises(Malformed):
        HeldCheckpoint.read(data)


class TestARotatedCoordinator:
    """Block 9 gives the coordinator another key; block 10 is a release."""

    @pytest.fixture
    def chain(self) -> ChainBuilder:
        chain = honest()
        new = key_of("coordinator, next")
        chain.govern(chain.rotation(COORDINATOR, new))
        chain.keys[COORDINATOR] = new
        chain.release(5, orgs=MEMBERS)
        return chain

    @pytest.mark.parametrize("size", [5, SIZE, SIZE + 1, SIZE + 2])
    def test_a_statement_by_its_newest_key_counts_for_every_size(self, chain: ChainBuilder, size: int) -> None:
        report = verified(chain.records, checkpoint_file(chain, size, coordinator=chain.keys[COORDINATOR]))
        assert (report.chain_valid, (report.last_good_checkpoint or {})["size"]) == (True, size)

    @pytest.mark.parametrize(("size", "counts"), [(5, True), (SIZE, True), (SIZE + 1, False), (SIZE + 2, False)])
    def test_one_by_its_retired_key_counts_for_what_came_before(
        self, chain: ChainBuilder, size: int, counts: bool
    ) -> None:
        report = verified(chain.records, checkpoint_file(chain, size))
        assert report.chain_valid is counts
        if not counts:
            assert bad(report) == (size - 1, "checkpoint_signature")

    def test_a_rewrite_before_the_rotation_is_found_after_it(self, chain: ChainBuilder) -> None:
        file = checkpoint_file(rewritten(), SIZE, coordinator=chain.keys[COORDINATOR])
        assert bad(verified(chain.records, file)) == (TIP, "checkpoint_root_mismatch")


class TestStoredNodes:
    def stored(self, chain: ChainBuilder) -> list[tuple[int, bytes]]:
        frontier = Frontier()
        return list(enumerate(node for record in chain.records for node in frontier.append(record.header)))

    def verify(self, chain: ChainBuilder, rows: list[tuple[int, bytes]]) -> Report:
        return verify_chain(chain.records, tree=TreeWatch(stored=iter(rows)), tip=TIP).report

    def test_an_honest_store(self) -> None:
        chain = honest()
        assert self.verify(chain, self.stored(chain)).chain_valid

    @pytest.mark.parametrize(
        ("damage", "height"),
        [
            (lambda rows: rows.__setitem__(2, (2, bytes(32))), 1),
            (lambda rows: rows.__delitem__(3), 2),
            (lambda rows: rows.__delitem__(-1), TIP),
            (lambda rows: rows.append((rows[-1][0] + 1, bytes(32))), SIZE),
            (lambda rows: rows.clear(), 0),
        ],
        ids=["changed", "removed", "newest removed", "one too many", "empty"],
    )
    def test_a_damaged_store(self, damage: Callable[[list[tuple[int, bytes]]], None], height: int) -> None:
        chain = honest()
        rows = self.stored(chain)
        damage(rows)
        assert bad(self.verify(chain, rows)) == (height, "tree_mismatch")


class TestTheAgentsCommand:
    def verify(self, chain: ChainBuilder, folder: Path, *files: bytes) -> Result:
        file = folder / "chain.jsonl"
        file.write_bytes(b"".join(export.lines(chain.chain_id, chain.records)))
        arguments = []
        for number, data in enumerate(files):
            held = folder / f"checkpoint-{number}"
            held.write_bytes(data)
            arguments += ["--checkpoint", str(held)]
        return CliRunner().invoke(app, ["verify", str(file), "--genesis", chain.chain_id, *arguments])

    def test_an_export_agrees_with_what_is_held(self, tmp_path: Path) -> None:
        chain = honest()
        result = self.verify(chain, tmp_path, checkpoint_file(chain, 5), checkpoint_file(chain, 8))
        assert result.exit_code == 0, result.output
        assert "Agrees with the checkpoint of 8 blocks" in result.output
        assert f"remembered or held: {SIZE - 8}" in result.output

    def test_an_export_of_a_rewritten_chain(self, tmp_path: Path) -> None:
        result = self.verify(rewritten(), tmp_path, checkpoint_file(honest(), 8))
        assert result.exit_code == 1
        assert "BAD at height 7: checkpoint_root_mismatch" in result.output

    @pytest.mark.parametrize("data", [b"not a note", b'{"note": "x"}'])
    def test_a_file_that_is_no_checkpoint_is_a_mistake_of_the_caller(self, tmp_path: Path, data: bytes) -> None:
        result = self.verify(honest(), tmp_path, data)
        assert result.exit_code == 2
        assert "checkpoint-0" in result.output

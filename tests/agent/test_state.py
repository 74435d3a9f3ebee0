"""The state file: invariants are the database's, transactions whole, damage refused."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from federation.agent.errors import HomeInvalid
from federation.agent.state import State
from federation.agent.state_rows import PreparedUpdate, StoredBlock, Vote
from ledger.chain.state import ChainState
from tests.agent.fake_federation import FakeFederation

UPDATE = PreparedUpdate("round-1", b"config", "d" * 64, 5, b"statement", b"signature")
VOTE = Vote("a" * 64, 3, 1, "approve", "", b"signature", "2026-01-01T00:00:00.000000Z")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def genesis() -> ChainState:
    return FakeFederation().state


def block(chain: ChainState, model_hash: str | None = None) -> StoredBlock:
    name, version = ("edge-classifier", chain.height) if model_hash else (None, None)
    return StoredBlock(chain.height, chain.block_hash, b"header", name, version, model_hash)


def following(chain: ChainState) -> ChainState:
    return msgspec.structs.replace(chain, height=chain.height + 1, block_hash=f"{chain.height + 1:064x}")


def test_the_file_is_private(state: State, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


def test_a_pin_is_written_once(state: State) -> None:
    state.set_pin("chain_id", "x")
    state.set_pin("chain_id", "x")
    with pytest.raises(HomeInvalid, match="pinned to x"):
        state.set_pin("chain_id", "y")
    assert state.pin("chain_id") == "x"


def test_the_chain_grows_only_from_where_it_ends(state: State, genesis: ChainState) -> None:
    first, second = following(genesis), following(following(genesis))
    assert state.extend_chain(None, genesis, [block(genesis)])
    assert not state.extend_chain(None, genesis, [block(genesis)])
    assert not state.extend_chain(first, second, [block(second)])
    assert state.extend_chain(genesis, first, [block(first)])
    assert state.chain() == first
    assert state.block_hash(1) == first.block_hash
    assert state.block_hash(2) is None


def test_nothing_of_a_failed_extension_stays(state: State, genesis: ChainState) -> None:
    state.extend_chain(None, genesis, [block(genesis)])
    with pytest.raises(sqlite3.IntegrityError):
        state.extend_chain(genesis, following(genesis), [block(following(genesis)), block(genesis)])
    assert state.chain() == genesis
    assert state.block_hash(1) is None


def test_releases_are_found_by_model_and_by_hash(state: State, genesis: ChainState) -> None:
    first, second = following(genesis), following(following(genesis))
    state.extend_chain(None, second, [block(genesis), block(first, "m1"), block(second, "m2")])
    newest, before = state.newest_release("edge-classifier"), state.newest_release("edge-classifier", below=2)
    assert newest is not None
    assert before is not None
    assert (newest.model_hash, before.model_hash) == ("m2", "m1")
    assert state.newest_release("edge-normaliser") is None
    assert state.release_of("m1") == before
    assert state.release_of("m3") is None


def test_what_stood_at_a_height_stays_known_after_a_withdrawal(state: State, genesis: ChainState) -> None:
    first, second = following(genesis), following(following(genesis))
    third, fourth = following(second), following(following(second))
    withdrawal = replace(block(third), model_name="edge-classifier", model_version=2)
    state.extend_chain(
        None, fourth, [block(genesis), block(first, "m1"), block(second, "m2"), withdrawal, block(fourth)]
    )
    found = {below: state.newest_release("edge-classifier", below=below) for below in (1, 2, 3, 4, None)}
    assert {below: release and (release.model_hash, release.withdrawn) for below, release in found.items()} == {
        1: None,
        2: ("m1", False),
        3: ("m2", True),
        4: ("m1", False),
        None: ("m1", False),
    }


def test_one_update_a_round(state: State) -> None:
    state.prepare_update(UPDATE)
    with pytest.raises(sqlite3.IntegrityError):
        state.prepare_update(replace(UPDATE, wire_digest="e" * 64))
    assert state.update_for("round-1") == UPDATE
    assert state.unfinished_updates() == [UPDATE]
    state.finish_update("round-1", "accepted", "grad-1")
    assert state.unfinished_updates() == []


def test_a_voided_approval_frees_its_height_and_stays_on_record(state: State) -> None:
    other = replace(VOTE, block_hash="b" * 64)
    state.cast_vote(VOTE)
    with pytest.raises(sqlite3.IntegrityError):
        state.cast_vote(other)
    state.void_vote(VOTE.block_hash, "lost")
    state.cast_vote(other)
    assert state.approval_at(3) == other
    assert state.vote_on(VOTE.block_hash) == VOTE
    assert state.unsent_votes() == [other]


@pytest.mark.parametrize("content", [b"no database at all, but some bytes" * 200, None])
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.db"
    if content is None:
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version = 99")
        other.close()
    else:
        path.write_bytes(content)
    with pytest.raises(HomeInvalid):
        State(path)

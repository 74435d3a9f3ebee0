"""The coordinator's key: rotated by the members' quorum, and the one in use is the one that the chain records."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from flxdr.core import dsse
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.core.keys import PrivateKey
from flxdr.env import Env
from flxdr.platform.identity import coordinator_key, coordinator_keys
from ledger import selectors
from ledger.chain.block import parse_header
from ledger.chain.entries import Found
from ledger.errors import CoordinatorKeyMismatch
from ledger.models import Proposal
from ledger.services.checkpoints import log_key_envelope
from ledger.services.genesis import ensure_genesis
from ledger.services.verification import verify_ledger
from tests.ledger.conftest import TABLES
from tests.ledger.members import Consortium

MEMBERS = ["org-a", "org-b"]


@pytest.fixture
def members(empty_ledger: None, clock: ManualClock, env: Callable[..., Env]) -> Consortium:
    """Two members, and a coordinator whose key lies in its data folder; the present, which the command asks for."""
    env(pqc_sk_b64=None, pqc_pk_b64=None)
    clock.advance(SystemClock().now() - clock.now())
    ensure_genesis(clock=clock)
    consortium = Consortium(clock)
    consortium.admit(*MEMBERS)
    return consortium


def propose() -> Proposal:
    out = StringIO()
    call_command("rotate_coordinator_key", stdout=out, stderr=StringIO())
    return Proposal.objects.get(pk=int(out.getvalue()))


def test_the_next_key_is_used_once_the_chain_records_it(members: Consortium, data_dir: Path) -> None:
    old = coordinator_key()
    proposal = propose()
    (new,) = (key for key in coordinator_keys() if key.public != old.public)
    assert (data_dir / "keys" / f"coordinator_ml_dsa_65_seed_{new.public.key_id[:16]}").read_bytes() == new.seed
    assert coordinator_key().public == old.public
    assert propose().pk == proposal.pk
    members.seal(proposal)
    assert coordinator_key().public == new.public
    envelope = log_key_envelope()
    ((key_id, signature),) = envelope.signatures
    assert key_id == new.public.key_id
    dsse.verify(selectors.key_set().coordinator, signature, dsse.LOG_KEY_TYPE, envelope.payload)
    members.release(1, MEMBERS)
    assert verify_ledger(clock=members.clock).first_bad is None


def test_the_old_keys_file_may_go_then(members: Consortium, data_dir: Path) -> None:
    members.seal(propose())
    new = coordinator_key()
    (data_dir / "keys" / "coordinator_ml_dsa_65_seed").unlink()
    assert [key.public for key in coordinator_keys()] == [new.public]
    members.release(1, MEMBERS)
    members.seal(propose())
    assert coordinator_key().public not in (new.public,)


def test_the_operators_own_keys(
    empty_ledger: None, clock: ManualClock, env: Callable[..., Env], data_dir: Path
) -> None:
    first, second = PrivateKey.generate(), PrivateKey.generate()
    env(pqc_sk_b64=first.seed, pqc_pk_b64=first.public.spki)
    ensure_genesis(clock=clock)
    consortium = Consortium(clock)
    consortium.admit(*MEMBERS)
    env(pqc_sk_b64=first.seed, pqc_pk_b64=first.public.spki, pqc_next_sk_b64=second.seed)
    consortium.seal(propose())
    assert coordinator_key().public == second.public
    env(pqc_sk_b64=second.seed, pqc_pk_b64=second.public.spki, pqc_next_sk_b64=None)
    consortium.release(1, MEMBERS)
    assert not (data_dir / "keys" / "coordinator_ml_dsa_65_seed").exists()


def test_a_rotation_that_is_refused_changes_nothing(members: Consortium) -> None:
    old = coordinator_key()
    proposal = members.countersign(propose())
    members.reject(proposal, "org-a")
    assert coordinator_key().public == old.public
    again = propose()
    assert (again.pk != proposal.pk, again.key_id) == (True, proposal.key_id)


def test_a_successor_names_its_predecessor(consortium: Consortium, clock: ManualClock, env: Callable[..., Env]) -> None:
    lost = selectors.chain_id()
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"TRUNCATE {table}" if connection.vendor == "postgresql" else f"DELETE FROM {table}")
    env(blockchain_predecessor=lost)
    genesis = ensure_genesis(clock=clock)
    (entry,) = parse_header(bytes(genesis.header)).governance.actions
    assert isinstance(entry, Found)
    assert entry.predecessor == lost != genesis.block_hash
    assert verify_ledger(clock=clock).chain_valid


def test_no_rotation_is_sealed_to_a_key_that_is_not_at_hand(
    empty_ledger: None, clock: ManualClock, env: Callable[..., Env]
) -> None:
    """The command may have been given a key that the running coordinator was not: it could never sign again."""
    first, second = PrivateKey.generate(), PrivateKey.generate()
    env(pqc_sk_b64=first.seed, pqc_pk_b64=None)
    ensure_genesis(clock=clock)
    consortium = Consortium(clock)
    consortium.admit(*MEMBERS)
    env(pqc_sk_b64=first.seed, pqc_pk_b64=None, pqc_next_sk_b64=second.seed)
    proposal = propose()
    env(pqc_sk_b64=first.seed, pqc_pk_b64=None, pqc_next_sk_b64=None)
    with pytest.raises(CoordinatorKeyMismatch):
        consortium.countersign(proposal)
    env(pqc_sk_b64=first.seed, pqc_pk_b64=None, pqc_next_sk_b64=second.seed)
    consortium.seal(proposal)
    assert coordinator_key().public == second.public

"""Block 0."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command

from flxdr.core.clock import ManualClock, SystemClock
from flxdr.platform.identity import coordinator_key
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.errors import CoordinatorKeyMismatch
from ledger.models import Block, SignerKey
from ledger.services.genesis import ensure_genesis
from ledger.services.verification import verify_ledger
from tests.ledger.members import Consortium


@pytest.mark.usefixtures("empty_ledger")
def test_policy_and_key_are_recorded(clock: ManualClock, env: Any) -> None:
    env(blockchain_quorum=Fraction(3, 4), blockchain_quorum_min=3)
    block = ensure_genesis(clock=clock)
    assert (block.height, block.model_hash) == (0, None)
    policy = selectors.quorum_policy()
    assert (policy.method, policy.numerator, policy.denominator, policy.minimum) == ("multisig", 3, 4, 3)
    assert selectors.key_set().coordinator == coordinator_key().public
    assert selectors.chain_id() == block.block_hash
    assert verify_ledger(clock=clock).chain_valid
    assert AuditEvent.objects.filter(kind="block.sealed", data__block_hash=block.block_hash).count() == 1


def test_it_is_made_once_and_settings_do_not_change_it(consortium: Consortium, env: Any) -> None:
    before = selectors.block_at(0)
    env(blockchain_quorum=Fraction(1, 2), blockchain_quorum_min=1, blockchain_verification_method="operator")
    again = ensure_genesis(clock=consortium.clock)
    assert again.block_hash == before.block_hash
    assert Block.objects.count() == 1
    assert SignerKey.objects.get().org_id == "coordinator"
    assert selectors.quorum_policy().minimum == 2
    assert consortium.propose_admission("org-a").rule == "coordinator-only"


@pytest.mark.usefixtures("empty_ledger")
def test_migrations_make_it() -> None:
    call_command("migrate", verbosity=0)
    assert Block.objects.get().type == Block.Type.GENESIS


def test_another_coordinators_key_cannot_sign(consortium: Consortium, settings: LazySettings, tmp_path: Path) -> None:
    proposal = consortium.propose_admission("org-a")
    settings.FLXDR = replace(settings.FLXDR, data_dir=tmp_path / "elsewhere", pqc_sk_b64=None, pqc_pk_b64=None)
    with pytest.raises(CoordinatorKeyMismatch):
        consortium.countersign(proposal)
    assert selectors.head().height == 0


def test_the_system_clock_serves(empty_ledger: None) -> None:
    ensure_genesis(clock=SystemClock())
    assert verify_ledger(clock=SystemClock()).chain_valid

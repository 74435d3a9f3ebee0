"""Genesis, which a pin protects, and what only a verifier with a memory sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ledger.chain.block import Governance, parse_header
from ledger.chain.entries import COORDINATOR, Admit, Found, PolicyEntry, RegistrationStatement
from ledger.chain.record import ChainRecord
from ledger.chain.verify import Anchor, verify_chain
from tests.ledger.chains import ChainBuilder, edited, federation, hash_of, key_of, provenance
from tests.ledger.tampering import MEMBERS, RELEASES, TIP, first_bad, honest


def test_genesis_replaced() -> None:
    pin = honest().chain_id
    lowered = ChainBuilder(policy=PolicyEntry(method="multisig", numerator=1, denominator=2, minimum=1))
    lowered.admit(*MEMBERS)
    assert lowered.verified().report.chain_valid
    assert first_bad(lowered.records, genesis=pin)[:2] == (0, "genesis_mismatch")


def test_genesis_with_an_impossible_quorum() -> None:
    everybody = PolicyEntry(method="multisig", numerator=1, denominator=1, minimum=1)
    chain = ChainBuilder()
    (action,) = parse_header(chain.records[0].header).governance.actions
    assert isinstance(action, Found)
    governance = Governance("genesis", (), 0, (msgspec.structs.replace(action, policy=everybody),))
    genesis = chain.sign(edited(chain.records[0].header, governance=governance), [COORDINATOR])
    assert first_bad([genesis]) == (0, "genesis_malformed", "governance.actions[0].policy")


@pytest.mark.parametrize(
    ("field", "value"),
    [("height", 1), ("model_hash", hash_of("x")), ("prev_hash", hash_of("x")), ("chain_id", hash_of("x"))],
)
def test_genesis_is_plain(field: str, value: Any) -> None:
    chain = ChainBuilder()
    genesis = chain.sign(edited(chain.records[0].header, **{field: value}), [COORDINATOR])
    assert first_bad([genesis]) == (0, "genesis_malformed", field)


def test_genesis_of_another_key() -> None:
    chain = ChainBuilder()
    other = chain.approval(chain.records[0].header, COORDINATOR, key_of("stranger"))
    assert first_bad([replace(chain.records[0], approvals=[other])])[:2] == (0, "approval_key")


def test_truncation_is_seen_by_who_remembers() -> None:
    chain = honest()
    state = chain.verified().state
    assert state is not None
    truncated = chain.records[:-2]
    assert verify_chain(truncated).report.chain_valid
    anchor = Anchor(state.height, state.block_hash)
    assert first_bad(truncated, anchor=anchor)[1] == "remembered_block_missing"


def test_a_rewrite_by_the_quorum_is_seen_by_who_remembers() -> None:
    chain = honest()
    state = chain.verified().state
    assert state is not None
    fork = federation(*MEMBERS, releases=RELEASES - 1)
    fork.append(fork.release_header(provenance(RELEASES, orgs=MEMBERS), hash_of("evil")))
    fork.release(RELEASES + 1, orgs=MEMBERS, parent_model_hash=hash_of("evil"))
    assert fork.verified(genesis=chain.chain_id).report.chain_valid
    anchor = Anchor(state.height, state.block_hash)
    report = verify_chain(fork.records, anchor=anchor).report
    assert report.first_bad is not None
    assert (report.first_bad.code, report.first_bad.field) == ("remembered_block_replaced", "block_hash")
    continued = verify_chain(fork.records[TIP + 1 :], state=state).report
    assert continued.first_bad is not None
    assert (continued.first_bad.height, continued.first_bad.code) == (TIP + 1, "prev_hash_mismatch")


def test_an_approval_above_the_quorum_at_the_tip_is_not_missed() -> None:
    # Nothing binds the newest block's certificate yet; ledger.md says so, and so does this test.
    chain = honest()
    records = [*chain.records[:-1], replace(chain.tip, approvals=chain.tip.approvals[:-1])]
    assert verify_chain(records).report.chain_valid


@pytest.mark.parametrize("document", [{}, {"header": "=", "approvals": []}, {"header": "e30=", "approvals": [{}]}])
def test_an_unreadable_export(document: dict[str, Any]) -> None:
    chain = honest()
    exported = [*(record.as_json(0) for record in chain.records), document]
    assert first_bad(map(ChainRecord.from_json, exported))[:2] == (TIP + 1, "record_malformed")


def test_the_statement_of_an_admission_is_strict() -> None:
    # `Admit` and its statement are the whole of what is signed: no field can be smuggled in beside them.
    assert set(Admit.__struct_fields__) == {"org_id", "key", "statement", "proof", "endorsement"}
    assert set(RegistrationStatement.__struct_fields__) == {"v", "org_id", "org_name", "key_id", "chain_id"}

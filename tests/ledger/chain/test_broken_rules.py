"""Blocks with every signature that they could have, which break a rule all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from flxdr.core import dsse
from ledger.chain.block import Header
from ledger.chain.entries import COORDINATOR, Found, PolicyEntry
from ledger.chain.membership import key_entry
from tests.ledger.chains import ChainBuilder, federation, hash_of, key_of, provenance
from tests.ledger.tampering import MEMBERS, TIP, first_bad, honest


def _release(number: int = 5, orgs: Any = MEMBERS, **changes: Any) -> Callable[[ChainBuilder], Header]:
    return lambda chain: chain.release_header(provenance(number, orgs=orgs, **changes))


def _headers(**changes: Any) -> Callable[[ChainBuilder], Header]:
    return lambda chain: chain.release_header(provenance(5, orgs=MEMBERS), **changes)


def _rule(**changes: Any) -> Callable[[ChainBuilder], Header]:
    def make(chain: ChainBuilder) -> Header:
        header = chain.release_header(provenance(5, orgs=MEMBERS))
        return msgspec.structs.replace(header, governance=msgspec.structs.replace(header.governance, **changes))

    return make


def _admission(**changes: Any) -> Callable[[ChainBuilder], Header]:
    return lambda chain: chain.governance_header(chain.admission("org-e", key_of("org-e"), **changes))


def _statement(**changes: Any) -> Callable[[ChainBuilder], Header]:
    def make(chain: ChainBuilder) -> Header:
        action = chain.admission("org-e", key_of("org-e"))
        return chain.governance_header(
            msgspec.structs.replace(action, statement=msgspec.structs.replace(action.statement, **changes))
        )

    return make


def _second_founding(chain: ChainBuilder) -> Header:
    header = chain.governance_header(chain.admission("org-e", key_of("org-e")))
    action = Found(
        coordinator=key_entry(chain.coordinator.public),
        policy=PolicyEntry(method="operator", numerator=1, denominator=2, minimum=1),
        predecessor=None,
    )
    return msgspec.structs.replace(header, governance=msgspec.structs.replace(header.governance, actions=(action,)))


def _further_key(endorser: str | None) -> Callable[[ChainBuilder], Header]:
    def make(chain: ChainBuilder) -> Header:
        key = key_of(endorser) if endorser else None
        return chain.governance_header(chain.admission("org-a", key_of("org-a second"), endorser=key))

    return make


def _forged_endorsement(chain: ChainBuilder) -> Header:
    action = chain.admission("org-a", key_of("org-a second"), endorser=key_of("stranger"))
    assert action.endorsement is not None
    owned = msgspec.structs.replace(action.endorsement, key_id=key_of("org-a").public.key_id)
    return chain.governance_header(msgspec.structs.replace(action, endorsement=owned))


def _key_entry(**changes: Any) -> Callable[[ChainBuilder], Header]:
    def make(chain: ChainBuilder) -> Header:
        action = chain.admission("org-e", key_of("org-e"))
        return chain.governance_header(
            msgspec.structs.replace(action, key=msgspec.structs.replace(action.key, **changes))
        )

    return make


SIGNED: dict[str, tuple[Callable[[ChainBuilder], Header], str, str]] = {
    "height skipped": (_headers(height=TIP + 2), "height_mismatch", "height"),
    "another chain": (_headers(chain_id=hash_of("x")), "chain_id_mismatch", "chain_id"),
    "another parent block": (_headers(prev_hash=hash_of("x")), "prev_hash_mismatch", "prev_hash"),
    "another certificate": (_headers(prev_cert=hash_of("x")), "prev_cert_mismatch", "prev_cert"),
    "time runs backwards": (
        _headers(timestamp="2025-12-31T23:59:59.999999Z"),
        "timestamp_regression",
        "timestamp",
    ),
    "version skipped": (_release(model_version=6), "version_mismatch", "provenance.model_version"),
    "version repeated": (_release(model_version=4), "version_mismatch", "provenance.model_version"),
    "unknown parent": (_release(parent_model_hash=hash_of("x")), "parent_mismatch", "provenance.parent_model_hash"),
    "no parent": (_release(parent_model_hash=None), "parent_mismatch", "provenance.parent_model_hash"),
    "round reused": (_release(round_number=4), "round_reused", "provenance.round_number"),
    "first version of a new model is not one": (
        _release(model_name="edge", model_version=2),
        "version_mismatch",
        "provenance.model_version",
    ),
    "no training organisations": (_release(orgs=()), "release_malformed", "provenance.training_orgs"),
    "training organisations twice": (
        _release(training_orgs=("org-a", "org-a")),
        "release_malformed",
        "provenance.training_orgs",
    ),
    "release without a model": (
        lambda c: msgspec.structs.replace(_release()(c), model_hash=None),
        "release_malformed",
        "model_hash",
    ),
    "release without provenance": (_headers(provenance=None), "release_malformed", "provenance"),
    "release that admits": (
        lambda c: msgspec.structs.replace(
            c.release_header(provenance(5, orgs=MEMBERS)),
            governance=c.governance_header(c.admission("org-e", key_of("org-e"))).governance,
        ),
        "release_malformed",
        "governance.actions",
    ),
    "governance with a model": (
        lambda c: c.governance_header(c.admission("org-e", key_of("org-e")), model_hash=hash_of("x")),
        "governance_malformed",
        "model_hash",
    ),
    "governance without entries": (
        lambda c: c.governance_header(),
        "governance_malformed",
        "governance.actions",
    ),
    "a second genesis": (_headers(type="genesis"), "type_mismatch", "type"),
    "rule softened": (_rule(rule="coordinator-only"), "rule_mismatch", "governance.rule"),
    "voters left out": (_rule(voters=MEMBERS[:2]), "rule_mismatch", "governance.voters"),
    "threshold lowered": (_rule(threshold=1), "rule_mismatch", "governance.threshold"),
    "the policy founded anew": (_second_founding, "second_founding", "governance.actions[0]"),
    "admission without proof": (_admission(proof=""), "admission_signature", "governance.actions[0].proof"),
    "admission with another's proof": (
        _admission(proof=dsse.encode_base64(bytes(64))),
        "admission_signature",
        "governance.actions[0].proof",
    ),
    "statement of another organisation": (
        _statement(org_id="org-x"),
        "admission_statement",
        "governance.actions[0].statement.org_id",
    ),
    "statement of another key": (
        _statement(key_id=hash_of("x")),
        "admission_statement",
        "governance.actions[0].statement.key_id",
    ),
    "statement for another chain": (
        _statement(chain_id=hash_of("x")),
        "admission_statement",
        "governance.actions[0].statement.chain_id",
    ),
    "statement changed after signing": (
        _statement(org_name="Somebody Else"),
        "admission_signature",
        "governance.actions[0].proof",
    ),
    "key id of another key": (_key_entry(key_id=hash_of("x")), "key_malformed", "governance.actions[0].key.key_id"),
    "another algorithm stated": (
        _key_entry(algorithm="ML-DSA-65"),
        "key_malformed",
        "governance.actions[0].key.algorithm",
    ),
    "no key at all": (_key_entry(spki="AAAA"), "key_malformed", "governance.actions[0].key.spki"),
    "member's key under another name": (
        lambda c: c.governance_header(c.admission("org-e", key_of("org-a"))),
        "admission_key_reused",
        "governance.actions[0].key.key_id",
    ),
    "coordinator's key as a member's": (
        lambda c: c.governance_header(c.admission("org-e", c.coordinator)),
        "admission_key_reused",
        "governance.actions[0].key.key_id",
    ),
    "a member called coordinator": (
        lambda c: c.governance_header(c.admission(COORDINATOR, key_of("org-e"))),
        "admission_reserved_name",
        "governance.actions[0].org_id",
    ),
    "further key without its owner": (
        _further_key(None),
        "admission_endorsement",
        "governance.actions[0].endorsement",
    ),
    "further key endorsed by another member": (
        _further_key("org-b"),
        "admission_endorsement",
        "governance.actions[0].endorsement",
    ),
    "further key with a forged endorsement": (
        _forged_endorsement,
        "admission_signature",
        "governance.actions[0].endorsement",
    ),
    "newcomer with an endorsement": (
        lambda c: c.governance_header(c.admission("org-e", key_of("org-e"), endorser=key_of("org-a"))),
        "admission_endorsement",
        "governance.actions[0].endorsement",
    ),
}


@pytest.mark.parametrize("name", SIGNED)
def test_signed_by_everybody_and_still_wrong(name: str) -> None:
    make, code, field = SIGNED[name]
    chain = honest()
    chain.append(make(chain), [COORDINATOR, *MEMBERS])
    assert first_bad(chain.records) == (TIP + 1, code, field)


@pytest.mark.parametrize("colluding", [1, 2])
def test_fewer_than_the_quorum_collude(colluding: int) -> None:
    chain = honest()
    chain.append(_release()(chain), [COORDINATOR, *MEMBERS[:colluding]])
    assert first_bad(chain.records) == (TIP + 1, "quorum_not_met", "approvals")


def test_admission_by_fewer_than_the_quorum() -> None:
    chain = honest()
    chain.append(chain.governance_header(chain.admission("org-e", key_of("org-e"))), [COORDINATOR, "org-a"])
    assert first_bad(chain.records)[:2] == (TIP + 1, "quorum_not_met")


def test_two_keys_of_one_organization_count_once() -> None:
    chain = federation("org-a", "org-b", "org-c")
    second = key_of("org-a second")
    chain.append(chain.governance_header(chain.admission("org-a", second, endorser=chain.keys["org-a"])))
    header = chain.release_header(provenance(1, orgs=["org-a", "org-b", "org-c"]))
    record = chain.append(header, [COORDINATOR, "org-a", "org-b"])
    both = [*record.approvals, chain.approval(record.header, "org-a", second)]
    chain.records[-1] = replace(record, approvals=both)
    assert first_bad(chain.records) == (5, "quorum_not_met", "approvals")


def test_a_key_signs_only_after_its_admission() -> None:
    chain = honest()
    header = chain.governance_header(chain.admission("org-e", key_of("org-e")))
    record = chain.append(header)
    approval = chain.approval(record.header, "org-e", key_of("org-e"))
    chain.records[-1] = replace(record, approvals=[*record.approvals, approval])
    assert first_bad(chain.records)[:2] == (TIP + 1, "approval_not_voter")

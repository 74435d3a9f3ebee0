"""A chain for measurements: a coordinator and two members that sign every release, made by the project's own code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from flxdr.core import dsse
from flxdr.core.clock import format_timestamp
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.approvals import SignedApproval, certificate_hash
from ledger.chain.block import ZERO_HASH, Governance, Header, Provenance, block_hash
from ledger.chain.entries import COORDINATOR, Admit, Found, PolicyEntry, RegistrationStatement, encode_statement
from ledger.chain.membership import key_entry
from ledger.chain.quorum import seal_rule
from ledger.chain.record import ChainRecord

MEMBERS = ("org-alpha", "org-beta")
POLICY = PolicyEntry(method="multisig", numerator=2, denominator=3, minimum=2)
_START = datetime(2026, 1, 1, tzinfo=UTC)


def generate(blocks: int, algorithm: Algorithm, *, genuine: bool = True) -> Iterator[ChainRecord]:
    """`blocks` blocks: genesis, two admissions, and releases that carry three signatures each.

    Args:
        genuine: False writes zeros for the releases' signatures, for chains of which only the structure is verified.
    """
    keys = {name: PrivateKey(algorithm, sha256(name.encode()).digest()) for name in (COORDINATOR, *MEMBERS)}
    zeros = bytes(len(keys[COORDINATOR].sign(b"")))
    chain_id, prev_hash, prev_cert = ZERO_HASH, ZERO_HASH, ZERO_HASH
    for height in range(blocks):
        provenance, signers = None, [COORDINATOR]
        if height == 0:
            found = Found(coordinator=key_entry(keys[COORDINATOR].public), policy=POLICY, predecessor=None)
            governance = Governance(rule="genesis", voters=(), threshold=0, actions=(found,))
        elif height <= len(MEMBERS):
            admit = _admission(MEMBERS[height - 1], keys[MEMBERS[height - 1]], chain_id)
            governance = Governance(rule="coordinator-only", voters=(), threshold=0, actions=(admit,))
        else:
            provenance, signers = _provenance(height - len(MEMBERS)), [COORDINATOR, *MEMBERS]
            rule = seal_rule(POLICY, members=MEMBERS, bootstrap_over=True, training_orgs=MEMBERS)
            governance = Governance(rule=rule.rule, voters=rule.voters, threshold=rule.threshold, actions=())
        header = Header(
            v=1,
            type="release" if provenance else "governance" if height else "genesis",
            chain_id=chain_id,
            height=height,
            timestamp=format_timestamp(_START + timedelta(seconds=height)),
            prev_hash=prev_hash,
            prev_cert=prev_cert,
            model_hash=_hash(f"global {provenance.model_version}") if provenance else None,
            provenance=provenance,
            governance=governance,
        ).encode()
        approvals = [
            SignedApproval(
                name,
                keys[name].public.key_id,
                dsse.sign(keys[name], dsse.BLOCK_TYPE, header) if genuine or provenance is None else zeros,
            )
            for name in signers
        ]
        prev_hash, prev_cert = block_hash(header), certificate_hash(approvals)
        if height == 0:
            chain_id = prev_hash
        yield ChainRecord(header, approvals)


def _admission(org_id: str, key: PrivateKey, chain_id: str) -> Admit:
    statement = RegistrationStatement(
        v=1, org_id=org_id, org_name=f"{org_id} SOC", key_id=key.public.key_id, chain_id=chain_id
    )
    proof = dsse.sign(key, dsse.REGISTRATION_TYPE, encode_statement(statement))
    return Admit(
        org_id=org_id,
        key=key_entry(key.public),
        statement=statement,
        proof=dsse.encode_base64(proof),
        endorsement=None,
    )


def _provenance(version: int) -> Provenance:
    return Provenance(
        round_id=f"round-{version}-abc123",
        round_number=version,
        config_hash=_hash(f"configuration {version}"),
        model_name="global",
        model_version=version,
        parent_model_hash=_hash(f"global {version - 1}"),
        aggregation_method="FedAvg",
        aggregation_params={},
        weighting="samples",
        optimizer_state_hash=None,
        protection="plain",
        training_orgs=MEMBERS,
        samples_total=2048,
        submissions_root=_hash(f"submissions {version}"),
        privacy={"mechanism": "none"},
        metrics_ppm={"accuracy": 920_000, "loss": 450_000},
    )


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()

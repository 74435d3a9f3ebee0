"""What the ledger's operations look like, for the API documentation."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PARENT = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
_BLOCK_HASH = "fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13"
_PREV_HASH = "a4e624d686e03ed2767c0abd85c14426b0b1157d2ce81d27bb4fe4f6f01d688a"
_CHAIN_ID = "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d"
_TIME = "2026-01-15T10:45:00.000000Z"


_BLOCK = {
    "height": 5,
    "type": "release",
    "timestamp": _TIME,
    "block_hash": _BLOCK_HASH,
    "prev_hash": _PREV_HASH,
    "prev_cert": _PARENT,
    "model_hash": _HASH,
    "signatures": {"coordinator": "c2ln...", "org-alpha": "c2ln...", "org-beta": "c2ln..."},
    "late_approvals": [],
    "provenance": {
        "round_id": "round-5-abc123",
        "round_number": 5,
        "config_hash": _BLOCK_HASH,
        "model_name": "global",
        "model_version": "v5",
        "parent_model_hash": _PARENT,
        "aggregation_method": "FedProx",
        "aggregation_params": {"lambda_ppm": 10000},
        "weighting": "samples",
        "optimizer_state_hash": None,
        "protection": "plain",
        "training_orgs": ["org-alpha", "org-beta"],
        "samples_total": 3072,
        "submissions_root": _PREV_HASH,
        "privacy": {"mechanism": "none"},
        "metrics_ppm": {"accuracy": 940000},
    },
    "governance": {"rule": "quorum", "voters": ["org-alpha", "org-beta"], "threshold": 2, "actions": []},
}
_HEAD = {"chain_id": _CHAIN_ID, "height": 5, "block_hash": _BLOCK_HASH}
_PROPOSAL = {
    "id": 7,
    "type": "release",
    "status": "open",
    "header": "eyJjaGFpbl9pZCI6Ii4uLiJ9",
    "block_hash": _BLOCK_HASH,
    "height": 6,
    "model_hash": _HASH,
    "round_id": "round-6-def456",
    "org_id": None,
    "subject": None,
    "rule": "quorum",
    "voters": ["org-alpha", "org-beta"],
    "threshold": 2,
    "approvals": ["coordinator", "org-alpha"],
    "late_approvals": [],
    "rejections": [],
    "deadline": "2026-01-15T10:50:00.000000Z",
    "end_reason": None,
}


_ORIGIN = f"flxdr/{_CHAIN_ID}"
_NOTE = f"{_ORIGIN}\n6\n3mHGc6c9S8RZ3Uqv1w3ZK2m0sKM8y3oZK4Y1k6v2f2s=\n\n— {_ORIGIN} c2lnbmF0dXJl...\n"


def _answer(name: str, value: object, media_type: str = "application/json") -> list[OpenApiExample]:
    return [OpenApiExample(name, value, response_only=True, status_codes=["200"], media_type=media_type)]


BLOCKS = _answer("newest first", {"blocks": [_BLOCK], "total": 6, "limit": 10, "offset": 0})
BLOCK = _answer("a release", _BLOCK)
VERIFIED = _answer(
    "a valid chain",
    {
        "chain_valid": True,
        "blocks_verified": 6,
        "last_block_hash": _BLOCK_HASH,
        "verification_timestamp": "2026-01-15T10:46:00.000000Z",
        "first_bad": None,
        "suspect_range": None,
        "last_good_checkpoint": None,
        "unanchored": 6,
        "warnings": [],
        "covers": {"from": 0, "to": 5, "signatures_from": 0},
        "verified_from": 0,
        "full_pass": "ended",
        "full_pass_at": "2026-01-15T10:46:00.000000Z",
        "full_pass_to": 5,
        "stats": {"seconds": 0.004, "blocks_per_s": 1500.0},
    },
)
LINEAGE = _answer(
    "a model and its parent",
    {
        "model_hash": _HASH,
        "lineage": [
            {
                "block_height": 5,
                "model_hash": _HASH,
                "model_name": "global",
                "model_version": "v5",
                "parent_model_hash": _PARENT,
                "training_orgs": ["org-alpha", "org-beta"],
                "round_id": "round-5-abc123",
                "aggregation_method": "FedProx",
                "timestamp": _TIME,
            }
        ],
        "total": 5,
        "limit": 1,
        "offset": 0,
    },
)
HEAD = _answer("head", _HEAD)
EXPORT = _answer(
    "one block",
    {
        "head": _HEAD,
        "records": [
            {
                "height": 5,
                "header": "eyJjaGFpbl9pZCI6Ii4uLiJ9",
                "approvals": [{"org_id": "coordinator", "key_id": _HASH, "signature": "c2ln..."}],
            }
        ],
    },
)
ENVELOPE = _answer(
    "a block that two organisations approved",
    {
        "payloadType": "application/vnd.flxdr.block+json",
        "payload": "eyJjaGFpbl9pZCI6Ii4uLiJ9",
        "signatures": [{"keyid": _HASH, "sig": "c2ln..."}, {"keyid": _PARENT, "sig": "c2ln..."}],
    },
)
_WITNESS_KEY_STATEMENT = {
    "payloadType": "application/vnd.flxdr.witness-key+json",
    "payload": "eyJjaGFpbl9pZCI6Ii4uLiJ9",
    "signatures": [{"keyid": _HASH, "sig": "c2ln..."}],
}
_COSIGNED = f"{_NOTE}— {_ORIGIN}/org-alpha 5e6f7a8bAAAAAGlo...\n"
_CHECKPOINT = {
    "origin": _ORIGIN,
    "size": 6,
    "root_hash": _HASH,
    "note": _COSIGNED,
    "log_key": f"{_ORIGIN}+1a2b3c4d+AXB1YmxpYyBrZXk...",
    "log_key_statement": {
        "payloadType": "application/vnd.flxdr.log-key+json",
        "payload": "eyJjaGFpbl9pZCI6Ii4uLiJ9",
        "signatures": [{"keyid": _HASH, "sig": "c2ln..."}],
    },
    "witnesses": [
        {
            "org_id": "org-alpha",
            "witness_key": f"{_ORIGIN}/org-alpha+5e6f7a8b+BHB1YmxpYyBrZXk...",
            "witness_key_statement": _WITNESS_KEY_STATEMENT,
        }
    ],
}
CHECKPOINT = [
    *_answer("a signed note", _COSIGNED, "text/plain"),
    *_answer("with the keys", _CHECKPOINT),
]
COSIGN = [
    OpenApiExample(
        "cosign",
        {
            "size": 6,
            "cosignature": f"— {_ORIGIN}/org-alpha 5e6f7a8bAAAAAGlo...",
            "witness_key_statement": _WITNESS_KEY_STATEMENT,
        },
        request_only=True,
    ),
    *_answer("cosigned", _CHECKPOINT),
]
TLOG_PROOF = _answer(
    "of block 5",
    f"c2sp.org/tlog-proof@v1\nindex 5\n3mHGc6c9S8RZ3Uqv1w3ZK2m0sKM8y3oZK4Y1k6v2f2s=\n\n{_NOTE}",
    "text/plain",
)
INCLUSION = _answer(
    "of block 5 among 6",
    {"height": 5, "size": 6, "leaf_hash": _HASH, "root_hash": _PARENT, "proof": [_BLOCK_HASH, _PREV_HASH]},
)
CONSISTENCY = _answer(
    "of 4 and 6 blocks",
    {"from": 4, "to": 6, "from_root_hash": _HASH, "to_root_hash": _PARENT, "proof": [_BLOCK_HASH]},
)
PROPOSALS = _answer("one open proposal", {"proposals": [_PROPOSAL], "total": 1, "limit": 50, "offset": 0})
PROPOSAL = _answer("an open proposal", _PROPOSAL)
APPROVE = [OpenApiExample("approve", {"key_id": _HASH, "signature": "c2lnbmF0dXJl"}, request_only=True), *PROPOSAL]
REJECT = [
    OpenApiExample(
        "reject",
        {"key_id": _HASH, "signature": "c2lnbmF0dXJl", "reason": "local validation is 9 points worse than the parent"},
        request_only=True,
    ),
    *PROPOSAL,
]
_GOVERNANCE_PROPOSAL = _PROPOSAL | {
    "type": "governance",
    "model_hash": None,
    "round_id": None,
    "org_id": "org-alpha",
    "subject": f"revoke org-alpha {_HASH}",
    "voters": ["org-beta", "org-gamma"],
    "approvals": [],
}
_KEY = {"key_id": _HASH, "algorithm": "ML-DSA-65", "public_key": "MIIHsjALBglghkgBZQMEAxI...", "admitted_height": 1}
_POLICY = {"method": "multisig", "numerator": 2, "denominator": 3, "minimum": 2}
GOVERNANCE = _answer(
    "two members, one of which rotated its key",
    {
        "policy": _POLICY,
        "coordinator": {**_KEY, "admitted_height": 0},
        "members": [
            {"org_id": "org-alpha", "org_name": "Alpha SOC", "keys": [{**_KEY, "admitted_height": 6}]},
            {"org_id": "org-beta", "org_name": "Beta SOC", "keys": [{**_KEY, "key_id": _PARENT}]},
        ],
        "retired": [{"org_id": "org-alpha", "retired_height": 6, **_KEY, "key_id": _PREV_HASH}],
        "entries": [
            {
                "height": 6,
                "timestamp": _TIME,
                "rule": "quorum",
                "action": "rotate",
                "org_id": "org-alpha",
                "key_id": _HASH,
                "model_name": None,
                "model_version": None,
                "retires": _PREV_HASH,
                "compromised_since": None,
                "model_hash": None,
                "policy": None,
                "reason": None,
            }
        ],
        "total": 4,
        "limit": 1,
        "offset": 0,
    },
)


def _proposing(name: str, body: object) -> list[OpenApiExample]:
    return [OpenApiExample(name, body, request_only=True), *_answer("the proposal", _GOVERNANCE_PROPOSAL)]


ROTATE = _proposing(
    "a new key",
    {
        "public_key": "MIIHsjALBglghkgBZQMEAxI...",
        "statement": "eyJjaGFpbl9pZCI6Ii4uLiJ9",
        "proof": "c2lnbmF0dXJl",
        "endorsement": {"key_id": _PREV_HASH, "signature": "c2lnbmF0dXJl"},
    },
)
REVOKE = _proposing(
    "a stolen key",
    {"org_id": "org-alpha", "key_id": _HASH, "compromised_since": 4, "reason": "the laptop with the key was stolen"},
)
WITHDRAW = _proposing(
    "a bad release", {"model_name": "edge-classifier", "model_version": 5, "reason": "it misses half of the scans"}
)
SET_POLICY = _proposing("three must approve", {**_POLICY, "minimum": 3})
_STATEMENT = {
    "payloadType": "application/vnd.in-toto+json",
    "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCIuLi4iOiIuLi4ifQ==",
    "signatures": [{"keyid": _HASH, "sig": "c2lnbmF0dXJl"}],
}
STATEMENTS = _answer("of one organisation", {"height": 5, "statements": [{"org_id": "org-a", "envelope": _STATEMENT}]})
ATTEST = [OpenApiExample("attest", _STATEMENT, request_only=True), *STATEMENTS]

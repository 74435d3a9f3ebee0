#!/usr/bin/env python3
"""Verify an export of a flxdr chain: one file, Python's standard library and `cryptography`, nothing of flxdr.

    python standalone.py chain.jsonl --genesis HASH

A second implementation, written to be read by an auditor who wants to rely on as little as possible. It shares no line
with the verifier in `verify` and `checks`; tests hold both to the same honest and tampered chains. It prints one line
and ends with 0 (every block holds), 1 (a block is bad; its height and why) or 2 (the file cannot be read).

What it proves: the blocks follow each other by hash from the pinned genesis; every block was sealed by as many distinct
organisations as the policy on the chain asks, with keys that the chain had admitted before; every release continues its
model. What it cannot see without a checkpoint that somebody kept: that blocks are missing at the end, or that a quorum
of signers rewrote the blocks that they had signed.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

ZERO = "0" * 64
COORDINATOR = "coordinator"
BLOCK_TYPE = b"application/vnd.flxdr.block+json"
REGISTRATION_TYPE = b"application/vnd.flxdr.registration+json"
MAX_INTEGER = 2**53 - 1
CLOCK_TOLERANCE = timedelta(minutes=5)
ED25519_PRIME = 2**255 - 19
# y coordinates of the Ed25519 points of small order: under such a key everybody can sign.
Y1 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
Y2 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER = {0, 1, ED25519_PRIME - 1, Y1, Y2}


class Bad(Exception):
    """A block that does not extend the chain; the text says why."""


def need(holds: bool, why: str) -> None:
    if not holds:
        raise Bad(why)


def canonical(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: RFC 8785 for the values that `parse` lets through."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(data: bytes) -> Any:
    """Read JSON that is in its canonical form: no floats, no duplicate keys, small integers, texts in NFC."""

    def refuse(text: str) -> Any:
        raise Bad(f"{text} is no canonical number")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len({key for key, _ in pairs}) == len(pairs), "a key occurs twice")
        need(all(re.fullmatch(r"[a-z0-9_.-]+", key) for key, _ in pairs), "a key is outside [a-z0-9_.-]+")
        return dict(pairs)

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse)
        check_values(value)
        same = canonical(value) == data
    except (UnicodeError, ValueError, RecursionError) as error:
        raise Bad(f"the header is no JSON in UTF-8: {error}") from error
    need(same, "the header is JSON in another than the canonical spelling")
    return value


def check_values(value: Any) -> None:
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_values(child)
    need(not isinstance(value, str) or unicodedata.is_normalized("NFC", value), "a text is not in NFC")
    need(not isinstance(value, int) or abs(value) <= MAX_INTEGER, "an integer is beyond 2^53 - 1")


# --- what a header consists of --------------------------------------------------------------------------------------

Check = Callable[[Any], bool]
Keys = Mapping[str, Mapping[str, Any]]  # organisation -> key id -> key


def text(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def integer(least: int) -> Check:
    return lambda value: type(value) is int and value >= least


def either(*values: Any) -> Check:
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def many(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


def record(**fields: Check) -> Check:
    """An object of exactly these fields."""
    return lambda value: (
        isinstance(value, dict) and value.keys() == fields.keys() and all(fields[name](value[name]) for name in fields)
    )


def mapping(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(check(item) for item in value.values())


def optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def moment(value: str) -> datetime:
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise Bad(f"{value} is no time") from error


is_hash, is_name = text("[0-9a-f]{64}"), text("[A-Za-z0-9_.-]{1,64}")
is_text: Check = lambda value: isinstance(value, str)  # noqa: E731
is_integer: Check = lambda value: type(value) is int  # noqa: E731
is_scalar: Check = lambda value: value is None or type(value) in (int, str, bool)  # noqa: E731
is_key = record(algorithm=either("ML-DSA-65", "Ed25519"), key_id=is_hash, spki=is_text)
one_up = integer(1)
is_policy = record(method=either("multisig", "operator"), numerator=one_up, denominator=one_up, minimum=one_up)
is_found = record(action=either("found"), coordinator=is_key, policy=is_policy, predecessor=optional(is_hash))
is_statement = record(v=either(1), org_id=is_name, org_name=text("(?s).{1,200}"), key_id=is_hash, chain_id=is_hash)
is_admit = record(
    action=either("admit"),
    org_id=is_name,
    key=is_key,
    statement=is_statement,
    proof=is_text,
    endorsement=optional(record(key_id=is_hash, signature=is_text)),
)
is_governance = record(
    rule=either("genesis", "coordinator-only", "operator", "quorum"),
    voters=many(is_name),
    threshold=integer(0),
    actions=many(lambda value: is_found(value) or is_admit(value)),
)
is_provenance = record(
    **dict.fromkeys(("round_id", "model_name", "aggregation_method", "weighting", "protection"), is_name),
    **dict.fromkeys(("round_number", "model_version"), one_up),
    **dict.fromkeys(("config_hash", "submissions_root"), is_hash),
    **dict.fromkeys(("parent_model_hash", "optimizer_state_hash"), optional(is_hash)),
    **dict.fromkeys(("aggregation_params", "privacy"), mapping(is_scalar)),
    training_orgs=many(is_name),
    samples_total=integer(0),
    metrics_ppm=mapping(is_integer),
)
is_header = record(
    **dict.fromkeys(("chain_id", "prev_hash", "prev_cert"), is_hash),
    v=either(1),
    type=either("genesis", "release", "governance"),
    height=integer(0),
    timestamp=text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"),
    model_hash=optional(is_hash),
    provenance=optional(is_provenance),
    governance=is_governance,
)


def unbase64(value: str) -> bytes:
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Bad("a text is no base64") from error
    need(base64.b64encode(data).decode() == value, "base64 in another than its canonical spelling")
    return data


def read_key(entry: Mapping[str, str]) -> Any:
    """The key of an entry whose algorithm and id are the ones that it states."""
    spki = unbase64(entry["spki"])
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Bad("a key is no SubjectPublicKeyInfo") from error
    kind = {"ML-DSA-65": MLDSA65PublicKey, "Ed25519": Ed25519PublicKey}[entry["algorithm"]]
    need(isinstance(key, kind), "a key is of another algorithm than stated")
    written = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    need(hashlib.sha256(written).hexdigest() == entry["key_id"], "a key has another id than stated")
    if isinstance(key, Ed25519PublicKey):
        y = int.from_bytes(key.public_bytes_raw(), "little") & (2**255 - 1)
        need(y < ED25519_PRIME and y not in SMALL_ORDER, "an Ed25519 key is a weak point")
    return key


def check_signature(key: Any, kind: bytes, payload: bytes, signature: bytes) -> None:
    """DSSE: the signature covers the type and the payload, each with its length."""
    try:
        key.verify(signature, b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    except (InvalidSignature, ValueError) as error:
        raise Bad("a signature does not verify") from error


class Chain:
    """What has to be remembered of the blocks so far to judge the next one."""

    def __init__(self, genesis: str | None, now: datetime) -> None:
        self.pinned, self.now = genesis, now
        self.height = -1
        self.chain_id = self.hash = self.certificate = ZERO
        self.time = ""
        self.policy: dict[str, Any] = {}
        self.coordinator: dict[str, Any] = {}
        self.members: dict[str, dict[str, Any]] = {}
        self.bootstrapped = False
        self.releases: dict[str, dict[str, Any]] = {}

    def extend(self, block: Any) -> None:
        """Judge the next block, and remember it if it extends the chain."""
        approval_shape = record(org_id=is_text, key_id=is_text, signature=is_text)
        need(
            isinstance(block, dict) and is_text(block.get("header")) and many(approval_shape)(block.get("approvals")),
            "the line is no block",
        )
        data, approvals = unbase64(block["header"]), block["approvals"]
        header = parse(data)
        need(is_header(header), "the header does not have the fields of a header")
        need(moment(header["timestamp"]) <= self.now + CLOCK_TOLERANCE, "the block is from the future")
        hash_ = hashlib.sha256(data).hexdigest()
        if self.height < 0:
            self.found(header, hash_)
            voters, threshold, keys = list[str](), 0, self.keys()
        else:
            voters, threshold = self.follow(header)
            keys = self.keys()  # of before this block: nobody votes on his own admission
            for action in header["governance"]["actions"]:
                self.admit(action)
        self.check_approvals(approvals, data, voters, threshold, keys)
        if header["provenance"] is not None:
            self.releases[header["provenance"]["model_name"]] = header
        self.height, self.hash, self.time = header["height"], hash_, header["timestamp"]
        ordered = sorted(approvals, key=lambda one: (one["org_id"], one["key_id"], unbase64(one["signature"])))
        self.certificate = hashlib.sha256(canonical(ordered)).hexdigest()

    def keys(self) -> dict[str, dict[str, Any]]:
        return {COORDINATOR: self.coordinator, **{org_id: dict(keys) for org_id, keys in self.members.items()}}

    def found(self, header: Mapping[str, Any], hash_: str) -> None:
        governance = header["governance"]
        blank = {"type": "genesis", "height": 0, "chain_id": ZERO, "prev_hash": ZERO, "prev_cert": ZERO}
        blank |= {"model_hash": None, "provenance": None}
        need(all(header[name] == value for name, value in blank.items()), "the first block is no genesis block")
        need(
            (governance["rule"], governance["voters"], governance["threshold"]) == ("genesis", [], 0)
            and len(governance["actions"]) == 1
            and is_found(governance["actions"][0]),
            "genesis has to hold the founding entry and nothing else",
        )
        need(self.pinned in (None, hash_), f"the genesis block is {hash_}, not the pinned one")
        founding = governance["actions"][0]
        need(founding["policy"]["numerator"] < founding["policy"]["denominator"], "the quorum is no fraction below one")
        self.chain_id, self.policy = hash_, founding["policy"]
        self.coordinator = {founding["coordinator"]["key_id"]: read_key(founding["coordinator"])}

    def follow(self, header: Mapping[str, Any]) -> tuple[list[str], int]:
        """Check a block's place in the chain; who votes on it, and how many have to approve."""
        need(header["height"] == self.height + 1, "the height does not follow")
        need(header["chain_id"] == self.chain_id, "the block belongs to another chain")
        need(header["prev_hash"] == self.hash, "the hash of the block before is another one")
        need(header["prev_cert"] == self.certificate, "the approvals of the block before were changed")
        need(header["timestamp"] >= self.time, "time runs backwards")
        provenance, governance = header["provenance"], header["governance"]
        if header["type"] == "release":
            need(provenance is not None and header["model_hash"] is not None, "a release without a model")
            need(not governance["actions"], "a release that changes keys")
            self.check_lineage(provenance)
        else:
            need(header["type"] == "governance", "a second genesis block")
            need(provenance is None and header["model_hash"] is None, "a governance block with a model")
            need(bool(governance["actions"]), "a governance block that governs nothing")
        rule, voters, threshold = self.rule(provenance["training_orgs"] if provenance else None)
        stated = (governance["rule"], governance["voters"], governance["threshold"])
        need(stated == (rule, voters, threshold), f"the block has to be sealed by {threshold} of {voters} ({rule})")
        return voters, threshold

    def check_lineage(self, provenance: Mapping[str, Any]) -> None:
        orgs = provenance["training_orgs"]
        need(bool(orgs) and orgs == sorted(set(orgs)), "the training organisations are none, repeated or unordered")
        before = self.releases.get(provenance["model_name"])
        need(
            provenance["model_version"] == (before["provenance"]["model_version"] + 1 if before else 1),
            "the version does not follow",
        )
        if before is not None:
            need(provenance["parent_model_hash"] == before["model_hash"], "the parent is not the release before")
            need(provenance["round_number"] > before["provenance"]["round_number"], "a round was released before")

    def rule(self, training_orgs: list[str] | None) -> tuple[str, list[str], int]:
        if self.policy["method"] == "operator":
            return "operator", [], 0
        if not self.bootstrapped:
            return "coordinator-only", [], 0
        voters = sorted(self.members if training_orgs is None else self.members.keys() & set(training_orgs))
        if len(voters) < self.policy["minimum"]:
            voters = sorted(self.members)
        more_than_fraction = len(voters) * self.policy["numerator"] // self.policy["denominator"] + 1
        return "quorum", voters, min(len(voters), max(more_than_fraction, self.policy["minimum"]))

    def admit(self, action: Mapping[str, Any]) -> None:
        need(is_admit(action), "the chain is founded a second time")
        org_id, statement, endorsement = action["org_id"], action["statement"], action["endorsement"]
        key = read_key(action["key"])
        key_id = action["key"]["key_id"]
        stated = (statement["org_id"], statement["key_id"], statement["chain_id"])
        need(stated == (org_id, key_id, self.chain_id), "the registration is of another organisation, key or chain")
        need(org_id != COORDINATOR, "an organisation by the coordinator's name")
        need(not any(key_id in keys for keys in self.keys().values()), "the key is held by somebody already")
        signed = canonical(statement)
        check_signature(key, REGISTRATION_TYPE, signed, unbase64(action["proof"]))
        own = self.members.get(org_id)
        if own is None:
            need(endorsement is None, "an endorsement by an organisation without a key")
        else:
            need(endorsement is not None and endorsement["key_id"] in own, "a further key without its owner's word")
            check_signature(own[endorsement["key_id"]], REGISTRATION_TYPE, signed, unbase64(endorsement["signature"]))
        self.members[org_id] = {**(own or {}), key_id: key}
        self.bootstrapped = self.bootstrapped or len(self.members) >= self.policy["minimum"]

    @staticmethod
    def check_approvals(approvals: Any, header: bytes, voters: list[str], threshold: int, keys: Keys) -> None:
        """Organisations count, not keys; the coordinator has to sign and never counts."""
        signers = [(approval["org_id"], approval["key_id"]) for approval in approvals]
        need(len(set(signers)) == len(signers), "the same key signs twice")
        for approval in approvals:
            org_id = approval["org_id"]
            need(org_id == COORDINATOR or org_id in voters, f"{org_id} has no vote on this block")
            key = keys.get(org_id, {}).get(approval["key_id"])
            need(key is not None, f"{org_id} signs with a key that the chain does not give it here")
            check_signature(key, BLOCK_TYPE, header, unbase64(approval["signature"]))
        approving = {org_id for org_id, _ in signers}
        need(COORDINATOR in approving, "the coordinator did not sign")
        need(len(approving & set(voters)) >= threshold, f"fewer than {threshold} of {voters} approve")


def verify(lines: Iterable[bytes], genesis: str | None = None, now: datetime | None = None) -> tuple[Chain, str | None]:
    """Judge an export line by line: the chain up to its last good block, and what is wrong with the next one."""
    chain = Chain(genesis, now or datetime.now(UTC))
    try:
        for number, line in enumerate(lines):
            need(line.endswith(b"\n"), "the line is cut off")
            document = json.loads(line)
            if number == 0:
                need(
                    isinstance(document, dict) and (document.get("format"), document.get("v")) == ("flxdr.chain", 1),
                    "the first line does not name the format flxdr.chain, version 1",
                )
            else:
                chain.extend(document)
        need(chain.height >= 0, "no block at all")
    except Bad as error:
        return chain, str(error)
    except (ValueError, RecursionError) as error:
        return chain, f"the line is no JSON: {error}"
    return chain, None


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an export of a flxdr chain.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--genesis", help="the genesis hash, learned from somebody you trust")
    arguments = parser.parse_args()
    try:
        with arguments.file.open("rb") as file:
            chain, bad = verify(file, arguments.genesis)
    except OSError as error:
        print(f"{arguments.file} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    if bad is not None:
        print(f"BAD at height {chain.height + 1}: {bad}")
        return 1
    pin = "" if arguments.genesis else "; genesis NOT pinned: any other valid chain would do as well"
    print(f"valid: {chain.height + 1} block(s), newest {chain.hash}, chain {chain.chain_id}{pin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

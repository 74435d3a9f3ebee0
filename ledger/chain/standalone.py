#!/usr/bin/env python3
"""Verify an export of a flxdr chain: one file, Python's standard library and `cryptography`, nothing of flxdr.

    python standalone.py chain.jsonl --genesis HASH --checkpoint NOTE

A second implementation for auditors who want to rely on little: it shares no line with the first one; tests hold both
to the same chains. It prints one line and ends with 0 (valid), 1 (a block is bad: its height and why) or 2 (no file).

It proves that the blocks follow each other from the pinned genesis, each sealed by as many distinct organisations as
the chain's policy asks, with keys that the chain gives them there, and that every release continues its model. Without
a checkpoint that somebody kept it cannot see missing blocks at the end, or what a quorum of signers rewrote.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
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
ROTATION_TYPE = b"application/vnd.flxdr.rotation+json"
MAX_INTEGER = 2**53 - 1
CLOCK_TOLERANCE = timedelta(minutes=5)
REMEMBERED = 32  # versions of a model, counted back from the newest, that can be withdrawn
ED25519_PRIME = 2**255 - 19
Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# y coordinates of the Ed25519 points of small order: under such a key everybody can sign.
SMALL_ORDER = {0, 1, ED25519_PRIME - 1, Y, ED25519_PRIME - Y}


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

    def check(value: Any) -> None:
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(child)
        need(not isinstance(value, str) or unicodedata.is_normalized("NFC", value), "a text is not in NFC")
        need(not isinstance(value, int) or abs(value) <= MAX_INTEGER, "an integer is beyond 2^53 - 1")

    value = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse)
    check(value)
    need(canonical(value) == data, "the header is JSON in another than the canonical spelling")
    return value


def unbase64(value: str) -> bytes:
    data = base64.b64decode(value, validate=True)
    need(base64.b64encode(data).decode() == value, "base64 in another than its canonical spelling")
    return data


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has a shape: a pattern of texts, a range of integers, a type, None, [shape of all items],
    (one shape, or another), {exactly: these fields}, {...: shape of all fields}."""
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        free = ... in shape
        named = isinstance(value, dict) and (free or value.keys() == shape.keys())
        return named and all(fits(item, shape[... if free else name]) for name, item in value.items())
    if isinstance(shape, str):
        return isinstance(value, str) and re.fullmatch(shape, value, re.DOTALL) is not None
    if isinstance(shape, range):
        return type(value) is int and value in shape
    return value is None if shape is None else type(value) is shape


def each(names: str, shape: Any) -> dict[Any, Any]:
    return dict.fromkeys(names.split(), shape)


COUNT, ONE_UP, FIRST = range(2**53), range(1, 2**53), range(1, 2)
HASH, NAME, REASON = "[0-9a-f]{64}", "[A-Za-z0-9_.-]{1,64}", ".{1,300}"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
KEY = {"algorithm": "ML-DSA-65|Ed25519", "key_id": HASH, "spki": str}
POLICY = {"method": "multisig|operator", **each("numerator denominator minimum", ONE_UP)}
ENDORSEMENT = {"key_id": HASH, "signature": str}
REGISTRATION = {"v": FIRST, "org_id": NAME, "org_name": ".{1,200}", **each("key_id chain_id", HASH)}
ROTATION = {"v": FIRST, "org_id": NAME, **each("key_id retires chain_id", HASH)}
PROVEN = {"key": KEY, "proof": str}
FOUND = {"action": "found", "coordinator": KEY, "policy": POLICY, "predecessor": (HASH, None)}
ENTRIES = (
    {"action": "admit", "org_id": NAME, "statement": REGISTRATION, "endorsement": (ENDORSEMENT, None), **PROVEN},
    {"action": "rotate", "statement": ROTATION, "endorsement": ENDORSEMENT, **PROVEN},
    {"action": "revoke", "org_id": NAME, "key_id": HASH, "compromised_since": (COUNT, None), "reason": REASON},
    {"action": "set_policy", "policy": POLICY},
    {"action": "withdraw_release", "model_name": NAME, "model_version": ONE_UP, "model_hash": HASH, "reason": REASON},
)
RULE = "genesis|coordinator-only|operator|quorum"
GOVERNANCE = {"rule": RULE, "voters": [NAME], "threshold": COUNT, "actions": [(FOUND, *ENTRIES)]}
PROVENANCE = each("round_id model_name aggregation_method weighting protection", NAME)
PROVENANCE |= each("round_number model_version", ONE_UP) | each("config_hash submissions_root", HASH)
PROVENANCE |= each("parent_model_hash optimizer_state_hash", (HASH, None)) | {"training_orgs": [NAME]}
PROVENANCE |= each("aggregation_params privacy", {...: (int, str, bool, None)})
PROVENANCE |= {"samples_total": COUNT, "metrics_ppm": {...: int}}
HEADER = each("chain_id prev_hash prev_cert", HASH) | {"v": FIRST, "model_hash": (HASH, None), "governance": GOVERNANCE}
HEADER |= {"type": "genesis|release|governance", "height": COUNT, "timestamp": TIME, "provenance": (PROVENANCE, None)}
NONE = ()  # a shape that nothing has
FOUNDING = {"rule": "genesis", "voters": [NONE], "threshold": range(1), "actions": [FOUND]}
GENESIS = HEADER | each("model_hash provenance", None) | each("chain_id prev_hash prev_cert", ZERO)
GENESIS |= {"type": "genesis", "height": range(1), "governance": FOUNDING}
APPROVAL = each("org_id key_id signature", str)


def read_key(entry: Mapping[str, str]) -> Any:
    """The key of an entry whose algorithm and id are the ones that it states."""
    key = load_der_public_key(unbase64(entry["spki"]))
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

    def __init__(self, genesis: str | None, now: datetime, checkpoint: str | None = None) -> None:
        self.pinned, self.now, self.checkpoint = genesis, now, checkpoint
        self.height, self.time, self.bootstrapped = -1, "", False
        self.chain_id = self.hash = self.certificate = ZERO
        self.policy: dict[str, Any] = {}
        self.coordinator: dict[str, Any] = {}
        self.members: dict[str, dict[str, Any]] = {}
        self.retired: set[str] = set()
        self.newest: dict[str, tuple[int, int]] = {}  # model -> version and round of its newest release
        self.standing: dict[str, dict[int, str]] = {}  # model -> version -> hash of what nobody withdrew
        self.peaks: list[bytes] = []  # complete subtrees of the Merkle tree over the headers, the largest first

    def extend(self, block: Mapping[str, Any]) -> None:
        """Judge the next block, and remember it if it extends the chain."""
        need(fits(block.get("header"), str) and fits(block.get("approvals"), [APPROVAL]), "the line is no block")
        data, approvals = unbase64(block["header"]), block["approvals"]
        header = parse(data)
        need(fits(header, HEADER), "the header does not have the fields of a header")
        moment = datetime.strptime(header["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        need(moment <= self.now + CLOCK_TOLERANCE, "the block is from the future")
        hash_ = hashlib.sha256(data).hexdigest()
        # The keys of before this block: nobody votes on his own admission.
        keys = {COORDINATOR: self.coordinator, **{name: dict(own) for name, own in self.members.items()}}
        if self.height < 0:
            self.found(header, hash_)
            voters, threshold, keys = list[str](), 0, {COORDINATOR: self.coordinator}
        else:
            voters, threshold = self.follow(header)
            for action in header["governance"]["actions"]:
                self.govern(action, header["governance"]["rule"])
        self.check_approvals(approvals, data, voters, threshold, keys)
        self.height, self.hash, self.time = header["height"], hash_, header["timestamp"]
        ordered = sorted(approvals, key=lambda one: (one["org_id"], one["key_id"], unbase64(one["signature"])))
        self.certificate = hashlib.sha256(canonical(ordered)).hexdigest()
        self.grow(data)

    def found(self, header: Mapping[str, Any], hash_: str) -> None:
        actions = header["governance"]["actions"]
        need(fits(header, GENESIS) and len(actions) == 1, "the first block is no genesis block with a founding entry")
        need(self.pinned in (None, hash_), f"the genesis block is {hash_}, not the pinned one")
        self.chain_id, self.policy = hash_, actions[0]["policy"]
        need(self.policy["numerator"] < self.policy["denominator"], "the quorum is no fraction below one")
        self.coordinator = {actions[0]["coordinator"]["key_id"]: read_key(actions[0]["coordinator"])}

    def follow(self, header: Mapping[str, Any]) -> tuple[list[str], int]:
        """Check a block's place in the chain; who votes on it, and how many have to approve."""
        follows = {"height": self.height + 1, "chain_id": self.chain_id}
        follows |= {"prev_hash": self.hash, "prev_cert": self.certificate}
        for name, value in follows.items():
            need(header[name] == value, f"{name} is not {value}")
        need(header["timestamp"] >= self.time, "time runs backwards")
        provenance, governance = header["provenance"], header["governance"]
        trained_by, concerned = None, None
        if header["type"] == "release":
            need(provenance is not None and header["model_hash"] is not None, "a release without a model")
            need(not governance["actions"], "a release that changes keys")
            trained_by = provenance["training_orgs"]
            self.release(provenance, header["model_hash"])
        else:
            need(header["type"] == "governance", "a second genesis block")
            need(provenance is None and header["model_hash"] is None, "a governance block with a model")
            need(len(governance["actions"]) == 1, "a governance block that does not hold exactly one entry")
            action = governance["actions"][0]
            concerned = action["org_id"] if action["action"] == "revoke" else None
        rule, voters, threshold = self.rule(trained_by, concerned)
        stated = (governance["rule"], governance["voters"], governance["threshold"])
        need(stated == (rule, voters, threshold), f"the block has to be sealed by {threshold} of {voters} ({rule})")
        return voters, threshold

    def rule(self, trained_by: list[str] | None, concerned: str | None) -> tuple[str, list[str], int]:
        """More than the policy's fraction of the voters; whose key is revoked has no vote on that."""
        if self.policy["method"] == "operator":
            return "operator", [], 0
        if not self.bootstrapped:
            return "coordinator-only", [], 0
        least = self.policy["minimum"]
        voters = sorted(self.members if trained_by is None else self.members.keys() & set(trained_by))
        if len(voters) < least:
            voters = sorted(self.members)
        more_than_fraction = len(voters) * self.policy["numerator"] // self.policy["denominator"] + 1
        threshold = min(len(voters), max(more_than_fraction, least))
        if concerned in voters and len(voters) > least:
            voters.remove(concerned)
        return "quorum", voters, min(threshold, len(voters))

    def release(self, provenance: Mapping[str, Any], model_hash: str) -> None:
        """Judge a release's lineage: the parent is the newest release of the model that nobody withdrew."""
        orgs, model, version = (provenance[name] for name in ("training_orgs", "model_name", "model_version"))
        need(bool(orgs) and orgs == sorted(set(orgs)), "the training organisations are none, repeated or unordered")
        newest, last_round = self.newest.get(model, (0, 0))
        standing = self.standing.get(model, {})
        need(version == newest + 1, "the version does not follow")
        need(not standing or provenance["parent_model_hash"] == standing[max(standing)], "the parent is another one")
        need(provenance["round_number"] > last_round, "a round was released before")
        self.newest[model] = (version, provenance["round_number"])
        kept = {one: hash_ for one, hash_ in standing.items() if one > version - REMEMBERED}
        self.standing[model] = {**kept, version: model_hash}

    def govern(self, action: Mapping[str, Any], rule: str) -> None:
        """Judge a governance entry under what is in force, and apply it."""
        need(action["action"] != "found", "the chain is founded a second time")
        if action["action"] in ("admit", "rotate"):
            self.new_key(action, ROTATION_TYPE if action["action"] == "rotate" else REGISTRATION_TYPE)
        elif action["action"] == "revoke":
            org_id, since = action["org_id"], action["compromised_since"]
            need(action["key_id"] in self.members.get(org_id, {}), "the key to revoke is not in force")
            need(since is None or since <= self.height, "a key compromised in the future")
            del self.members[org_id][action["key_id"]]
            self.retired.add(action["key_id"])
            left = self.members[org_id] or self.members.pop(org_id)
            enough = len(self.members) >= self.policy["minimum"] or not self.bootstrapped
            need(bool(left) or enough, "fewer members than the policy asks for are left")
        elif action["action"] == "set_policy":
            policy = action["policy"]
            gives = rule == "operator" and policy["method"] == "multisig"
            need(rule == "quorum" or gives, "the coordinator alone takes the members' say")
            need(policy["numerator"] < policy["denominator"], "the quorum is no fraction below one")
            need(policy["minimum"] <= len(self.members), "the policy asks for more members than there are")
            self.policy, self.bootstrapped = policy, True
        else:
            model, version = action["model_name"], action["model_version"]
            standing = self.standing.get(model, {})
            need(standing.get(version) == action["model_hash"], "the release to withdraw does not stand")
            self.standing[model] = {one: hash_ for one, hash_ in standing.items() if one < version}
            need(bool(self.standing[model]) or self.newest[model][0] <= REMEMBERED, "nothing remembered stays")

    def new_key(self, action: Mapping[str, Any], kind: bytes) -> None:
        """An admission or a rotation: the new key proves itself, and a key that the holder has speaks for it."""
        statement, endorsement, key = action["statement"], action["endorsement"], read_key(action["key"])
        holder, key_id = statement["org_id"], action["key"]["key_id"]
        stated = (action.get("org_id", holder), statement["key_id"], statement["chain_id"])
        need(stated == (holder, key_id, self.chain_id), "the statement is of another organisation, key or chain")
        used = self.retired.union(self.coordinator, *self.members.values())
        need(key_id not in used, "the key is held by somebody, or was")
        signed = canonical(statement)
        check_signature(key, kind, signed, unbase64(action["proof"]))
        rotates = kind == ROTATION_TYPE
        need(rotates or holder != COORDINATOR, "an organisation by the coordinator's name")
        own = self.coordinator if holder == COORDINATOR else self.members.get(holder, {})
        need(not rotates or statement["retires"] in own, "the key to replace is not in force")
        if own:
            need(endorsement is not None and endorsement["key_id"] in own, "a new key without its holder's word")
            check_signature(own[endorsement["key_id"]], kind, signed, unbase64(endorsement["signature"]))
        else:
            need(endorsement is None, "an endorsement by an organisation without a key")
        replaced = statement.get("retires")
        self.retired |= {replaced} - {None}
        own = {**{one: held for one, held in own.items() if one != replaced}, key_id: key}
        if holder == COORDINATOR:
            self.coordinator = own
        else:
            self.members[holder] = own
            self.bootstrapped = self.bootstrapped or len(self.members) >= self.policy["minimum"]

    @staticmethod
    def check_approvals(approvals: Any, header: bytes, voters: list[str], threshold: int, keys: Any) -> None:
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

    def grow(self, data: bytes) -> None:
        """Add a header to the Merkle tree (RFC 6962), and hold it against the checkpoint once it has its size."""
        node, before = hashlib.sha256(b"\0" + data).digest(), self.height
        while before & 1:
            node, before = hashlib.sha256(b"\1" + self.peaks.pop() + node).digest(), before >> 1
        self.peaks.append(node)
        if self.checkpoint is not None:
            origin, size, root = [*self.checkpoint.split("\n"), "", ""][:3]
            need(origin == f"flxdr/{self.chain_id}", "the checkpoint is not of this chain")
            if size == str(self.height + 1):
                for left in reversed(self.peaks[:-1]):
                    node = hashlib.sha256(b"\1" + left + node).digest()
                need(base64.b64encode(node).decode() == root, "the chain up to here is not the checkpoint's")
                self.checkpoint = None


def verify(
    lines: Iterable[bytes], genesis: str | None = None, now: datetime | None = None, checkpoint: str | None = None
) -> tuple[Chain, str | None]:
    """Judge an export line by line: the chain up to its last good block, and what is wrong with the next one."""
    chain, ended = Chain(genesis, now or datetime.now(UTC), checkpoint), False
    try:
        for number, line in enumerate(lines):
            need(line.endswith(b"\n") and not ended, "the line is cut off, or behind the export's own checkpoint")
            document = json.loads(line.decode("utf-8"), parse_constant=int)  # no NaN
            document = document if isinstance(document, dict) else {}
            ended = number > 0 and "checkpoint" in document
            if number == 0:
                need((document.get("format"), document.get("v")) == ("flxdr.chain", 1), "no file of flxdr.chain, v 1")
            elif not ended:
                chain.extend(document)
        need(chain.height >= 0, "no block at all")
        need(chain.checkpoint is None, "the chain does not reach the checkpoint: blocks are missing at its end")
    except Bad as error:
        return chain, str(error)
    except (ValueError, RecursionError, UnsupportedAlgorithm) as error:
        return chain, f"the line cannot be read: {error}"
    return chain, None


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an export of a flxdr chain.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--genesis", help="the genesis hash, learned from somebody you trust")
    parser.add_argument("--checkpoint", type=Path, help="a signed note that you, or a witness, kept")
    given = parser.parse_args()
    try:
        note = given.checkpoint.read_text("utf-8") if given.checkpoint else None
        with given.file.open("rb") as file:
            chain, bad = verify(file, given.genesis, None, note)
    except (OSError, UnicodeError) as error:
        print(f"a file cannot be read: {error}", file=sys.stderr)
        return 2
    if bad is not None:
        print(f"BAD at height {chain.height + 1}: {ascii(bad)[1:-1]}")  # no escape sequences of the file's author
        return 1
    pin = "" if given.genesis else "; genesis NOT pinned: any other valid chain would do as well"
    print(f"valid: {chain.height + 1} block(s), newest {chain.hash}, chain {chain.chain_id}{pin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

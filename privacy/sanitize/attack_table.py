"""`python -m privacy.sanitize.attack_table BUNDLE`: make the table of ATT&CK ids from MITRE's Enterprise STIX bundle.

BUNDLE is JSON, also gzip-compressed. The table is written beside this file; it holds ids, names, tactics and what was
revoked or deprecated, and none of MITRE's descriptions.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

TABLE = Path(__file__).with_name("attack.json")
NOTICE = (
    "\N{COPYRIGHT SIGN} The MITRE Corporation. This work is reproduced and distributed with the permission of The "
    "MITRE Corporation. Terms of use: https://attack.mitre.org/resources/legal-and-branding/terms-of-use/"
)
_GZIP_MAGIC = b"\x1f\x8b"


def build(data: bytes) -> dict[str, Any]:
    """The table of a bundle.

    Args:
        data: the bundle as it was downloaded; its SHA-256 becomes part of the table.
    """
    objects = orjson.loads(gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data)["objects"]
    tactics = {_id(item): item for item in _of_type(objects, "x-mitre-tactic")}
    techniques = {_id(item): item for item in _of_type(objects, "attack-pattern")}
    successors = _successors(objects)
    return {
        "notice": NOTICE,
        "source": "MITRE ATT&CK Enterprise, STIX bundle",
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "newest_change": max(item["modified"] for item in (*tactics.values(), *techniques.values()))[:10],
        "tactics": {key: {"name": item["name"]} for key, item in sorted(tactics.items())},
        "techniques": {key: _technique(item, successors) for key, item in sorted(techniques.items())},
    }


def _of_type(objects: Sequence[Mapping[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    return (item for item in objects if item["type"] == name)


def _id(item: Mapping[str, Any]) -> str:
    return str(
        next(each["external_id"] for each in item["external_references"] if each["source_name"] == "mitre-attack")
    )


def _technique(item: Mapping[str, Any], successors: Mapping[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": item["name"],
        "tactics": sorted(phase["phase_name"] for phase in item.get("kill_chain_phases", ())),
    }
    if item.get("x_mitre_deprecated"):
        entry["deprecated"] = True
    if item.get("revoked"):
        entry["revoked_by"] = successors.get(item["id"])
    return entry


def _successors(objects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """From the STIX id of a revoked technique to the ATT&CK id of the one in its place."""
    ids = {item["id"]: _id(item) for item in _of_type(objects, "attack-pattern")}
    return {
        item["source_ref"]: ids[item["target_ref"]]
        for item in _of_type(objects, "relationship")
        if item["relationship_type"] == "revoked-by" and item["target_ref"] in ids
    }


if __name__ == "__main__":
    TABLE.write_bytes(orjson.dumps(build(Path(sys.argv[1]).read_bytes())) + b"\n")

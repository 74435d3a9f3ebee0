"""Detections as a STIX 2.1 bundle (OASIS, 10 June 2021).

Per detection a `sighting` of the technique's `attack-pattern` by the organisation's `identity`, and a `note` with what
is recommended. What STIX has no field for (the model that vouches, its block, the calibrated score) is a property
extension, defined by an `extension-definition` in the same bundle. Hosts appear only where the caller knows their
addresses and says so: then the strongest flows are `observed-data`.

Identifiers are made of what they name (UUIDv5 in a namespace of flxdr's own), so that the same detection, told twice,
is one object.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import stix2

from federation.detections.reports import Report
from federation.detections.techniques import technique_of

MEMBERS_ONLY = stix2.TLP_AMBER
"""What members share stays among them and those whom they protect."""
_NAMESPACE = uuid.UUID("6e3f6c1a-55a4-5b0e-9d53-6f1f0f0f7a4c")
_FOUNDED = datetime(2026, 1, 1, tzinfo=UTC)
_TACTIC_CHAIN = "mitre-attack"
_EXTENSION = f"extension-definition--{uuid.uuid5(_NAMESPACE, 'detection/1')}"
_EXTENSION_TEXT = (
    "Of a sighting. score: calibrated probability of an attack, 0 to 1. family: class of traffic. destinations: how "
    "many hosts the flows went to. services: protocol/port of the strongest flows. model_name, model_hash: what "
    "detected it. block_height: block of the federation's ledger that released the model, absent where none did. "
    "host: pseudonym of the flows' source under the organisation's own key, absent in what is shared."
)


def bundle(reports: Iterable[Report], *, scope: str, marking: stix2.MarkingDefinition | None = None) -> str:
    """The bundle as JSON text.

    Args:
        scope: what tells equal names apart: the chain's id.
        marking: of every object that speaks of detections.
    """
    return str(stix2.Bundle(*objects(reports, scope=scope, marking=marking)).serialize())


def objects(reports: Iterable[Report], *, scope: str, marking: stix2.MarkingDefinition | None = None) -> list[Any]:
    """The bundle's objects, each once."""
    found: dict[str, Any] = {}
    for report in reports:
        for item in _objects(report, scope, marking):
            found.setdefault(item["id"], item)
    defined = [*_definition(), *([marking] if marking else [])]
    return [*defined, *found.values()]


def _objects(report: Report, scope: str, marking: stix2.MarkingDefinition | None) -> Iterator[Any]:
    marked = {"object_marking_refs": [marking.id]} if marking else {}
    identity = stix2.Identity(
        id=_id("identity", scope, report.org_id),
        created=_FOUNDED,
        modified=_FOUNDED,
        name=report.org_name,
        identity_class="organization",
    )
    pattern = _pattern(report.family)
    observed = list(_observed(report, scope, identity.id))
    sighting = stix2.Sighting(
        id=_id("sighting", scope, report.org_id, report.alert_id),
        created_by_ref=identity.id,
        created=report.reported_at,
        modified=report.reported_at,
        first_seen=report.first_seen,
        last_seen=report.last_seen,
        count=min(report.flows, 999_999_999),
        sighting_of_ref=pattern.id,
        where_sighted_refs=[identity.id],
        confidence=round(100 * report.score),
        extensions={_EXTENSION: {"extension_type": "property-extension"} | _extension(report)},
        **({"observed_data_refs": [item.id for item in observed if item.type == "observed-data"]} if observed else {}),
        **marked,
    )
    note = stix2.Note(
        id=_id("note", scope, report.org_id, report.alert_id),
        created_by_ref=identity.id,
        created=report.reported_at,
        modified=report.reported_at,
        abstract=f"Recommended response: {report.recommendation}",
        content=report.reason or f"Recommended response: {report.recommendation}",
        object_refs=[sighting.id],
        **marked,
    )
    yield from (identity, pattern, *observed, sighting, note)


def _pattern(family: str) -> Any:
    technique = technique_of(family)
    return stix2.AttackPattern(
        id=_id("attack-pattern", technique.id),
        created=_FOUNDED,
        modified=_FOUNDED,
        name=technique.name,
        kill_chain_phases=[{"kill_chain_name": _TACTIC_CHAIN, "phase_name": tactic} for tactic in technique.tactics],
        external_references=[
            {
                "source_name": _TACTIC_CHAIN,
                "external_id": technique.id,
                "url": f"https://attack.mitre.org/techniques/{technique.id.replace('.', '/')}/",
            }
        ],
    )


def _extension(report: Report) -> dict[str, Any]:
    told = {
        "score": round(report.score, 6),
        "family": report.family,
        "destinations": report.destinations,
        "services": list(report.services),
        "model_name": report.model_name,
        "model_hash": report.model_hash,
        "block_height": report.block_height,
        "host": report.host,
    }
    return {name: value for name, value in told.items() if value is not None and value != []}


def _observed(report: Report, scope: str, identity: str) -> Iterator[Any]:
    for number, flow in enumerate(report.observed):
        source, destination = _address(flow.source), _address(flow.destination)
        traffic = stix2.NetworkTraffic(
            start=flow.time,
            src_ref=source.id,
            dst_ref=destination.id,
            protocols=["ip" if flow.protocol == "other" else flow.protocol],
            src_byte_count=flow.bytes_out,
            dst_byte_count=flow.bytes_in,
            **({"dst_port": flow.port} if flow.protocol in {"tcp", "udp"} else {}),
        )
        yield from (source, destination, traffic)
        yield stix2.ObservedData(
            id=_id("observed-data", scope, report.org_id, report.alert_id, str(number)),
            created_by_ref=identity,
            created=report.reported_at,
            modified=report.reported_at,
            first_observed=flow.time,
            last_observed=flow.time,
            number_observed=1,
            object_refs=[source.id, destination.id, traffic.id],
        )


def _address(text: str) -> Any:
    try:
        version = ip_address(text).version
    except ValueError:
        return stix2.DomainName(value=text)
    return stix2.IPv4Address(value=text) if version == 4 else stix2.IPv6Address(value=text)


def _definition() -> list[Any]:
    author = stix2.Identity(
        id=_id("identity", "flxdr"), created=_FOUNDED, modified=_FOUNDED, name="flxdr", identity_class="system"
    )
    definition = stix2.ExtensionDefinition(
        id=_EXTENSION,
        created_by_ref=author.id,
        created=_FOUNDED,
        modified=_FOUNDED,
        name="flxdr detection",
        schema=_EXTENSION_TEXT,
        version="1.0.0",
        extension_types=["property-extension"],
    )
    return [author, definition]


def _id(kind: str, *parts: str) -> str:
    return f"{kind}--{uuid.uuid5(_NAMESPACE, '/'.join((kind, *parts)))}"

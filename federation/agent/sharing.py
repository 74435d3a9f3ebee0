"""What of an alert may be told to the federation: facts from a closed list, and a note without identifiers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from federation import statements
from federation.agent.errors import CheckFailed, UsageInvalid
from federation.agent.session import Agent
from federation.detections.facts import MAX_NOTE, MAX_SERVICES, PPM, Facts
from federation.detections.techniques import TECHNIQUES
from flxdr.core import dsse
from flxdr.core.clock import format_timestamp
from flxdr.core.errors import FlxdrError
from privacy.sanitize.kinds import TOKEN
from privacy.sanitize.pseudonyms import Pseudonyms
from privacy.sanitize.records import Sanitizer

_ALERT_ID = re.compile(r"[0-9a-f]{32}\Z")
LEAVES = (
    "id",
    "family",
    "technique.id",
    "score",
    "flows",
    "destinations",
    "edges.service",
    "first_seen",
    "last_seen",
    "recommendation.action",
    "model.name",
    "model.hash",
    "model.block_height",
)
"""The members of an alert of which anything leaves."""


def facts_of(agent: Agent, alert: Mapping[str, Any], note: str) -> tuple[str, Facts]:
    """(id, facts) of an alert as `detect` writes it: times to the minute, no hosts, the note without identifiers.

    Raises:
        UsageInvalid: it is no alert, or its note is too long.
        CheckFailed: the alert names a block that did not release its model on the verified chain.
    """
    try:
        model = alert["model"]
        facts = msgspec.convert(
            {
                "family": alert["family"],
                "technique": TECHNIQUES.get(alert["family"], alert["technique"]["id"]),
                "score_ppm": round(alert["score"] * PPM),
                "flows": alert["flows"],
                "destinations": alert["destinations"],
                "services": tuple(dict.fromkeys(edge["service"] for edge in alert["edges"]))[:MAX_SERVICES],
                "first_seen": _to_the_minute(alert["first_seen"]),
                "last_seen": _to_the_minute(alert["last_seen"]),
                "action": alert["recommendation"]["action"],
                "model_name": model["name"],
                "model_hash": model["hash"],
                "block_height": model["block_height"],
                "note": without_identifiers(agent, note),
            },
            Facts,
        )
        facts.check()
        alert_id = alert["id"]
    except (KeyError, TypeError, ValueError, OverflowError, msgspec.ValidationError, FlxdrError) as error:
        raise UsageInvalid(
            f"this is no alert that can be shared: {error!s}", expected="a line that `flxdr-agent detect` wrote"
        ) from error
    if not isinstance(alert_id, str) or not _ALERT_ID.match(alert_id):
        raise UsageInvalid("the alert has no id", expected="a line that `flxdr-agent detect` wrote")
    _check_voucher(agent, facts)
    return alert_id, facts


def share(agent: Agent, alert_id: str, facts: Facts) -> dict[str, Any]:
    """Sign the facts and send them; the coordinator's answer.

    Raises:
        Refused, Unreachable: by the coordinator.
    """
    statement = statement_of(agent, alert_id, facts)
    return agent.coordinator.post(
        "federation/detections",
        {
            "statement": dsse.encode_base64(statement),
            "key_id": agent.key.public.key_id,
            "signature": dsse.encode_base64(dsse.sign(agent.key, dsse.DETECTION_TYPE, statement)),
        },
    )


def statement_of(agent: Agent, alert_id: str, facts: Facts) -> bytes:
    """The bytes that leave."""
    return statements.detection(chain_id=agent.chain_id, org=agent.org_id, alert_id=alert_id, facts=facts.as_json())


def without_identifiers(agent: Agent, note: str) -> str:
    """An analyst's words with the kind of every identifier in its place, `[ipv4]`; not even its pseudonym leaves."""
    cleaned, _ = Sanitizer(Pseudonyms(agent.home.sanitizer_secret())).text(note)
    kept = TOKEN.sub(lambda match: f"[{match[0][1:].partition(':')[0]}]", cleaned)
    if len(kept) > MAX_NOTE:
        raise UsageInvalid(f"the note has {len(kept)} characters", expected=f"at most {MAX_NOTE}")
    return kept


def left_out(alert: Mapping[str, Any]) -> list[str]:
    """Names of the members of an alert of which nothing leaves."""
    return sorted(set(_members(alert)) - set(LEAVES))


def _members(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*(_members(item, f"{prefix}.{name}" if prefix else name) for name, item in value.items()))
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return set().union(*(_members(item, prefix) for item in value))
    return {prefix}


def _to_the_minute(text: str) -> str:
    return format_timestamp(datetime.fromisoformat(text).replace(second=0, microsecond=0))


def _check_voucher(agent: Agent, facts: Facts) -> None:
    if facts.block_height is None:
        return
    release = agent.state.release_of(facts.model_hash)
    if release is None or release.model_name != facts.model_name:
        raise CheckFailed(
            f"no block of the verified chain released {facts.model_name} {facts.model_hash}",
            expected="an alert of a released model",
            action="Run `flxdr-agent verify`, or detect anew.",
        )

"""What an organisation may tell of a detection, and nothing else: a closed list of facts without a free form for hosts.

The agent makes them of an alert, the coordinator checks them again. The only free text is an analyst's note, in which
no identifier may stand.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Self

import msgspec

from federation.detections.techniques import TECHNIQUES
from federation.errors import DetectionHoldsIdentifiers, DetectionInvalid, StatementMalformed
from flxdr.core import canonical
from flxdr.core.clock import parse_timestamp
from flxdr.core.errors import Malformed
from privacy.sanitize.kinds import TOKEN
from privacy.sanitize.metadata import identifiers, identifiers_in_name

MAX_NOTE = 300
MAX_SERVICES = 8
PPM = 1_000_000
_CAPTIONS = {"alert_id", "chain_id", "org", "v"}

_Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,63}\Z")]
_Service = Annotated[str, msgspec.Meta(pattern=r"\A(?:tcp|udp|icmp|other)/(?:0|[1-9]\d{0,4})\Z")]


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A detection as it is shared.

    Args:
        family, technique: what was seen; the technique is the family's.
        score_ppm: calibrated probability of an attack, in millionths.
        flows, destinations: how many flows of one host to how many others.
        services: protocol and port of the flows that drove it (`tcp/23`), the strongest first.
        first_seen, last_seen: of the flows, to the minute.
        action: the recommended response.
        model_name, model_hash: what detected it.
        block_height: the block that released the model; None for a model that no block vouches for.
        note: the analyst's own words.
    """

    family: str
    technique: str
    score_ppm: Annotated[int, msgspec.Meta(ge=0, le=PPM)]
    flows: _Count
    destinations: _Count
    services: Annotated[tuple[_Service, ...], msgspec.Meta(max_length=MAX_SERVICES)]
    first_seen: str
    last_seen: str
    action: Annotated[str, msgspec.Meta(pattern=r"\A[a-z_]{1,32}\Z")]
    model_name: _Name
    model_hash: _Hash
    block_height: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)] | None
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)]

    @property
    def seen(self) -> tuple[datetime, datetime]:
        """First and last, as moments."""
        return parse_timestamp(self.first_seen), parse_timestamp(self.last_seen)

    def as_json(self) -> dict[str, Any]:
        """Fields for canonical bytes."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in _items(self)}

    def check(self) -> None:
        """What the types alone do not say.

        Raises:
            DetectionInvalid: facts that do not go together.
            DetectionHoldsIdentifiers: an address, host, account or the like stands in a text.
        """
        if TECHNIQUES.get(self.family) != self.technique:
            raise DetectionInvalid(
                f"{self.technique[:20]!r} is not the technique of the family {self.family[:40]!r}",
                expected=", ".join(f"{family}: {technique}" for family, technique in TECHNIQUES.items()),
                field="technique",
            )
        try:
            first, last = self.seen
        except Malformed as error:
            raise DetectionInvalid(error.detail, expected=error.expected, field="first_seen, last_seen") from error
        if last < first:
            raise DetectionInvalid("last_seen is before first_seen", field="last_seen")
        if self.destinations > self.flows:
            raise DetectionInvalid(f"{self.flows} flows to {self.destinations} destinations", field="destinations")
        pseudonyms = {"pseudonyms"} if TOKEN.search(self.note) else set()
        for field, found in (
            ("note", pseudonyms | identifiers(self.note)),
            ("model_name", identifiers_in_name(self.model_name)),
        ):
            if found:
                raise DetectionHoldsIdentifiers(
                    f"{field} holds identifiers: {', '.join(sorted(found))}",
                    expected="no addresses, host names, accounts, paths or the like, nor pseudonyms of them",
                    action="`flxdr-agent share` takes them out.",
                    field=field,
                )


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """A statement about a detection, read: whose it is, of which chain, under which id, and the facts."""

    org: str
    chain_id: str
    alert_id: str
    facts: Facts

    @classmethod
    def parse(cls, statement: bytes) -> Self:
        """Read the canonical bytes of `statements.detection`.

        Raises:
            StatementMalformed: not canonical, of another version, or with other fields.
            DetectionInvalid, DetectionHoldsIdentifiers: as `Facts.check`.
        """
        try:
            fields = canonical.decode(statement)
        except canonical.NotCanonical as error:
            raise StatementMalformed(f"the statement is not canonical: {error.detail}") from error
        if not isinstance(fields, dict) or fields.get("v") != 1 or not fields.keys() >= _CAPTIONS:
            raise StatementMalformed("the statement is of no detection", expected="version 1, with alert_id and org")
        try:
            stated = msgspec.convert(
                {name: fields[name] for name in _CAPTIONS - {"v"}}
                | {"facts": {name: value for name, value in fields.items() if name not in _CAPTIONS}},
                cls,
            )
        except msgspec.ValidationError as error:
            raise StatementMalformed(f"the statement is of no detection: {error}") from error
        if not re.fullmatch(r"[0-9a-f]{32}", stated.alert_id):
            raise StatementMalformed("alert_id is no id", expected="32 lower-case hex digits")
        stated.facts.check()
        return stated


def _items(facts: Facts) -> list[tuple[str, Any]]:
    return [(name, getattr(facts, name)) for name in facts.__struct_fields__]

"""The `Submission-Statement` header: what an organisation says, and signs, about the body it sends.

Compact form: `base64url(statement).key_id.base64url(signature)`, or `base64url(statement)` alone from an organisation
without a key; base64url is unpadded, the statement is in canonical bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from federation.api.identifiers import Identifier
from federation.errors import StatementMalformed
from federation.statements import PPM, Envelope

HEADER = "Submission-Statement"
META_KEY = "HTTP_SUBMISSION_STATEMENT"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class StatementFields(msgspec.Struct, frozen=True):
    """The part of a statement that describes the update; the rest is checked against the round by the service."""

    round_id: Identifier
    org: Identifier
    kind: Literal["weights", "delta", "masked"]
    samples: int
    metrics: Annotated[dict[_Name, int], msgspec.Meta(max_length=64)]
    privacy: Annotated[dict[_Name, Any], msgspec.Meta(max_length=32)]
    roster_hash: str | None = None


@dataclass(frozen=True)
class SignedStatement:
    """A statement as received, and those of its fields that describe the update."""

    envelope: Envelope
    fields: StatementFields

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics in their own units (the statement carries millionths)."""
        return {name: ppm / PPM for name, ppm in self.fields.metrics.items()}


def read_statement(header: str) -> SignedStatement:
    """Read the header's value.

    Raises:
        StatementMalformed: another form, bytes that are not canonical, or fields that are missing.
    """
    envelope = Envelope.from_compact(header)
    try:
        return SignedStatement(envelope, msgspec.convert(envelope.fields(), StatementFields))
    except msgspec.ValidationError as error:
        raise StatementMalformed(
            f"the statement cannot be used: {error}", expected="round_id, org, kind, samples, metrics and privacy"
        ) from error
    except RecursionError as error:
        raise StatementMalformed("the statement is nested too deeply", expected="a flat document") from error

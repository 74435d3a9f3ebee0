"""What the claims of an identity provider say of a person: name and roles. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_NAME = 56
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._+-]+")


def roles_of(claims: Mapping[str, Any], *, claim: str, mapping: Sequence[str]) -> list[str]:
    """The roles of somebody with these claims, sorted; empty: none.

    Args:
        claim: the claim that lists groups; `a.b` is also the member `b` of the object `a`.
        mapping: `group:role`, as `FL_OIDC_ROLES` has them.
    """
    value = claims.get(claim)
    if value is None:
        value = claims
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    groups = {value} if isinstance(value, str) else set(filter(_is_text, value)) if isinstance(value, list) else set()
    pairs = (item.rpartition(":") for item in mapping)
    return sorted({role for group, _, role in pairs if group in groups})


def name_of(claims: Mapping[str, Any], *, subject: str) -> str:
    """The name under which the audit trail is to tell the person, without what a name may not hold."""
    for claim in ("preferred_username", "name"):
        value = claims.get(claim)
        if isinstance(value, str) and (name := _NOT_IN_NAMES.sub("-", value).strip("-")):
            return name[:LONGEST_NAME]
    return _NOT_IN_NAMES.sub("-", subject).strip("-")[:LONGEST_NAME] or "operator"


def has_second_factor(claims: Mapping[str, Any]) -> bool:
    """Whether the provider says that more than one factor was used (RFC 8176)."""
    methods = claims.get("amr")
    return isinstance(methods, list) and "mfa" in methods


def _is_text(value: Any) -> bool:
    return isinstance(value, str)

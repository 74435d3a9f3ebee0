"""Who makes a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

DEVELOPMENT_OPERATOR = "development"


@dataclass(frozen=True)
class Principal:
    """An authenticated caller: an operator, or an organisation by its `org_id`."""

    kind: Literal["operator", "organization"]
    name: str

    is_authenticated = True
    is_anonymous = False

    @property
    def is_operator(self) -> bool:
        return self.kind == "operator"

    @property
    def org_id(self) -> str | None:
        return self.name if self.kind == "organization" else None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Anonymous:
    """A caller that proved nothing."""

    kind: Literal["anonymous"] = "anonymous"
    name: str = ""

    is_authenticated = False
    is_anonymous = True
    is_operator = False
    org_id = None

    def __str__(self) -> str:
        return "anonymous"


def actor_of(request: HttpRequest) -> str:
    """How the audit trail names the operator who clicked on a page or in the administration."""
    return str(Principal("operator", request.user.get_username()))


def caller(request: Request) -> Principal | Anonymous:
    """Who makes a request of the API: what its authentication found."""
    return cast("Principal | Anonymous", request.user)

"""A browser that signs in at an identity provider, and what came of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client

from flxdr.platform.models import AuditEvent
from tests.operators.provider import Provider

ROLES = ("soc:operator", "fl-admins:administrator")


def begin(client: Client, query: str = "") -> dict[str, str]:
    """Ask to be sent to the provider; the parameters of the request there."""
    answer = client.get(f"/account/sso{query}")
    assert answer.status_code == 302, answer.content
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def come_back(client: Client, told: Provider, **overrides: str) -> Any:
    asked = begin(client)
    told.nonce = asked["nonce"]
    return client.get("/account/sso/callback", {"code": "c", "state": asked["state"], **overrides})


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def kinds() -> list[str]:
    return list(AuditEvent.objects.filter(kind__startswith="operator.").order_by("id").values_list("kind", flat=True))

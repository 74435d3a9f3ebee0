"""Webhook: one signed JSON document a notification, posted to one address."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import orjson

from flxdr.core.clock import format_timestamp
from flxdr.notifications.channels.interface import ChannelDown, Message, NotDelivered
from flxdr.notifications.models import Delivery

TIMEOUT_SECONDS = 10.0
SIGNATURE = "X-Flxdr-Signature"
OVERLOADED = frozenset({408, 425, 429})
"""Answers that ask for patience, beside those of 500 and above."""


class WebhookChannel:
    """Posts to `url`, signed with the HMAC-SHA256 of the body under a shared secret; follows no redirect."""

    name: ClassVar[str] = Delivery.Channel.WEBHOOK.value
    batch: ClassVar[int] = 1

    def __init__(self, *, url: str, secret: str) -> None:
        self.url = url
        self.secret = secret

    def send(self, messages: Sequence[Message]) -> None:
        with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
            for message in messages:
                self._post(client, orjson.dumps(document(message)))

    def _post(self, client: httpx.Client, body: bytes) -> None:
        headers = {"Content-Type": "application/json", SIGNATURE: signature(self.secret, body)}
        try:
            with client.stream("POST", self.url, content=body, headers=headers) as response:
                status = response.status_code  # of the body of an answer nothing is read
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The address may be a secret, so no text that could show it is kept.
            raise ChannelDown(f"the webhook cannot be reached ({type(error).__name__})") from None
        if status in OVERLOADED or status >= 500:
            raise ChannelDown(f"the webhook answered {status}")
        if not 200 <= status < 300:
            raise NotDelivered(f"the webhook answered {status}", expected="an answer from 200 to 299")


def document(message: Message) -> dict[str, Any]:
    """What is posted."""
    return {
        "id": message.id,
        "kind": message.kind,
        "severity": message.severity.value,
        "subject": message.subject,
        "text": message.text,
        "opened_at": format_timestamp(message.opened_at),
        "closed_at": format_timestamp(message.closed_at) if message.closed_at else None,
        "url": message.url,
    }


def signature(secret: str, body: bytes) -> str:
    """The value of the header `X-Flxdr-Signature`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()

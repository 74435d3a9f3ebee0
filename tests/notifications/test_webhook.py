"""The webhook posts what its receiver can check, and shows its secrets to nobody else."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flxdr.env import Env
from flxdr.notifications.channels.interface import ChannelDown, Message, NotDelivered
from flxdr.notifications.channels.webhook import WebhookChannel
from flxdr.notifications.kinds import Severity
from tests.notifications.conftest import SECRET
from tests.notifications.servers import Hook

MESSAGE = Message(
    id=7,
    kind="chain_broken",
    severity=Severity.CRITICAL,
    subject="chain",
    text="The chain does not verify: block 3 is bad (header_malformed).",
    opened_at=datetime(2100, 1, 1, tzinfo=UTC),
    closed_at=None,
    url="https://fl.example.org/ledger/",
)


@pytest.fixture
def channel(hook: Hook) -> WebhookChannel:
    return WebhookChannel(url=hook.url, secret=SECRET)


def test_what_is_posted(hook: Hook, channel: WebhookChannel) -> None:
    channel.send([MESSAGE, replace(MESSAGE, closed_at=datetime(2100, 1, 2, tzinfo=UTC))])
    opened, closed = hook.posted
    assert (opened.path, opened.headers["Content-Type"]) == ("/hook/of-nobody-else", "application/json")
    assert opened.document == {
        "id": 7,
        "kind": "chain_broken",
        "severity": "critical",
        "subject": "chain",
        "text": "The chain does not verify: block 3 is bad (header_malformed).",
        "opened_at": "2100-01-01T00:00:00.000000Z",
        "closed_at": None,
        "url": "https://fl.example.org/ledger/",
    }
    assert closed.document == {**opened.document, "closed_at": "2100-01-02T00:00:00.000000Z"}


def test_the_receiver_can_check_the_signature(hook: Hook, channel: WebhookChannel) -> None:
    channel.send([MESSAGE])
    (posted,) = hook.posted
    expected = hmac.new(SECRET.encode(), posted.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(posted.headers["X-Flxdr-Signature"], f"sha256={expected}")


@pytest.mark.parametrize("answer", [301, 307, 308])
def test_redirects_are_not_followed(hook: Hook, channel: WebhookChannel, answer: int) -> None:
    hook.answer = answer
    with pytest.raises(NotDelivered, match=str(answer)):
        channel.send([MESSAGE])
    assert len(hook.posted) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/token-in-path",
        "https://127.0.0.1:{port}/token-in-path",
        "http://no-such-host.invalid/token-in-path",
    ],
    ids=["nobody listens", "no TLS there", "no such name"],
)
def test_a_failure_shows_neither_address_nor_secret(hook: Hook, url: str) -> None:
    broken = WebhookChannel(url=url.format(port=hook.server_address[1]), secret=SECRET)
    with pytest.raises(ChannelDown) as caught:
        broken.send([MESSAGE])
    text = f"{caught.value} {caught.value.__cause__} {caught.value.as_problem()}"
    assert "token-in-path" not in text
    assert SECRET not in text


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch, hook: Hook, channel: WebhookChannel) -> None:
    monkeypatch.setattr("flxdr.notifications.channels.webhook.TIMEOUT_SECONDS", 0.2)
    hook.shutdown()  # it listens still, so connections are made
    with pytest.raises(ChannelDown, match="ReadTimeout"):
        channel.send([MESSAGE])


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_log_keeps_the_address_to_itself(
    hook: Hook, channel: WebhookChannel, caplog: pytest.LogCaptureFixture, level: str, env: Callable[..., Env]
) -> None:
    caplog.set_level(level)
    channel.send([MESSAGE])
    hook.answer = 500
    with pytest.raises(ChannelDown):
        channel.send([MESSAGE])
    assert "of-nobody-else" not in caplog.text
    assert SECRET not in caplog.text

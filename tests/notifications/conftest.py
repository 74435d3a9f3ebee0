"""A federation that asks for nobody, until the test makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.notifications import selectors
from flxdr.notifications.models import Notification
from flxdr.notifications.services.review import review
from flxdr.platform.models import OutboxEvent
from ledger.services.verified import verify_stored
from tests.notifications.servers import Hook, MailServer, serving
from tests.support.federation import SimulatedFederation

Reviewed = Callable[[], dict[str, list[Notification]]]
SECRET = "shared with the receiver alone"


@pytest.fixture
def clock() -> ManualClock:
    """Later than the genesis block, which the machine's clock dated: a chain's time does not run backwards."""
    return ManualClock(datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def quiet(db: None, clock: ManualClock) -> None:
    """The chain was verified just now, and every event that the migrations told of was sent."""
    verify_stored(clock=clock, actor="test", full=True)
    OutboxEvent.objects.update(sent_at=clock.now())


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with serving(MailServer()) as server:
        yield server
        server.ended.set()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving(Hook()) as server:
        yield server


@pytest.fixture
def by_mail(env: Callable[..., Env], mail: MailServer) -> MailServer:
    """Two operators are told by e-mail."""
    env(
        notify_email=("kim@example.org", "lee@example.org"),
        notify_from="flxdr@example.org",
        notify_smtp_url=f"smtp://127.0.0.1:{mail.port}",
        public_url="https://fl.example.org/",
    )
    return mail


@pytest.fixture
def by_hook(env: Callable[..., Env], hook: Hook) -> Hook:
    """Operators are told by a webhook."""
    env(notify_webhook_url=hook.url, notify_webhook_secret=SECRET, public_url="https://fl.example.org")
    return hook


@pytest.fixture
def federation(quiet: None, clock: ManualClock) -> SimulatedFederation:
    """A federation without organisations."""
    return SimulatedFederation(clock)


@pytest.fixture
def trio(federation: SimulatedFederation) -> SimulatedFederation:
    """Three organisations with keys on the chain."""
    federation.enrol("org-alpha", "org-beta", "org-gamma")
    return federation


@pytest.fixture
def reviewed(clock: ManualClock) -> Reviewed:
    """Review; what is open then, by kind."""

    def run() -> dict[str, list[Notification]]:
        review(clock=clock)
        found: dict[str, list[Notification]] = {}
        for notification in selectors.open_notifications():
            found.setdefault(notification.kind, []).append(notification)
        return found

    return run


def closed(kind: str) -> Notification:
    return Notification.objects.get(kind=kind, closed_at__isnull=False)

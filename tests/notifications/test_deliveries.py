"""News leave at least once, the opening before the end, and a channel that is down delays only its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from federation.models import Organization
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.notifications.channels import registry
from flxdr.notifications.channels.interface import Message
from flxdr.notifications.channels.webhook import WebhookChannel
from flxdr.notifications.models import Delivery
from flxdr.notifications.services import deliveries
from flxdr.notifications.services.deliveries import deliver
from flxdr.notifications.services.review import review
from flxdr.notifications.tasks import notify
from tests.federation.threads import in_threads
from tests.notifications.servers import Hook, MailServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]
Change = Callable[..., Env]


def wait_for_approval(*org_ids: str, clock: ManualClock) -> None:
    for org_id in org_ids:
        Organization.objects.create(org_id=org_id, name=org_id, registered_at=clock.now())
    review(clock=clock)


def approve_all(clock: ManualClock) -> None:
    Organization.objects.update(status="active")
    review(clock=clock)


def told(hook: Hook) -> list[tuple[str, bool]]:
    return [(each.document["subject"], each.document["closed_at"] is not None) for each in hook.posted]


def test_opening_and_end_are_told_once_each(by_hook: Hook, clock: ManualClock) -> None:
    wait_for_approval("org-alpha", "org-beta", clock=clock)
    assert deliver(clock=clock) == 2
    assert deliver(clock=clock) == 0
    approve_all(clock)
    assert deliver(clock=clock) == 2
    assert told(by_hook) == [("org-alpha", False), ("org-beta", False), ("org-alpha", True), ("org-beta", True)]
    assert not Delivery.objects.filter(sent_at=None).exists()


def test_the_task_reviews_and_delivers(by_hook: Hook) -> None:
    Organization.objects.create(org_id="org-alpha", name="Alpha")
    notify()
    notify()
    assert told(by_hook).count(("org-alpha", False)) == 1


def test_the_opening_is_told_as_such_also_when_it_is_over_by_then(by_hook: Hook, clock: ManualClock) -> None:
    wait_for_approval("org-alpha", clock=clock)
    clock.advance(timedelta(minutes=1))
    approve_all(clock)
    assert deliver(clock=clock) == 2
    opening, end = (each.document for each in by_hook.posted)
    assert opening["text"] == "org-alpha has registered and waits for an operator's approval."
    assert (opening["opened_at"], opening["closed_at"]) == ("2100-01-01T00:00:00.000000Z", None)
    assert end["text"] == "org-alpha waits for no approval any more."
    assert end["closed_at"] == "2100-01-01T00:01:00.000000Z"
    assert end["id"] == opening["id"]


def test_the_end_waits_for_the_opening(by_hook: Hook, clock: ManualClock) -> None:
    wait_for_approval("org-alpha", clock=clock)
    by_hook.answers = [400]
    assert deliver(clock=clock) == 0
    approve_all(clock)
    assert deliver(clock=clock) == 0, "the end is due, and the opening rests"
    clock.advance(timedelta(seconds=16))
    assert deliver(clock=clock) == 2
    assert told(by_hook) == [("org-alpha", False), ("org-alpha", False), ("org-alpha", True)]


@pytest.mark.parametrize(("answer", "others"), [(500, 0), (503, 0), (429, 0), (400, 1), (404, 1), (302, 1)])
def test_a_refusal_concerns_one_message_and_a_failure_all(
    by_hook: Hook, clock: ManualClock, answer: int, others: int
) -> None:
    wait_for_approval("org-alpha", "org-beta", clock=clock)
    by_hook.answers = [answer]
    assert deliver(clock=clock) == others
    waiting = Delivery.objects.get(notification__subject="org-alpha")
    assert (waiting.attempts, waiting.last_error, waiting.sent_at) == (1, f"the webhook answered {answer}", None)
    clock.advance(timedelta(seconds=16))
    assert deliver(clock=clock) == 2 - others


def test_attempts_are_spread(by_hook: Hook, clock: ManualClock) -> None:
    wait_for_approval("org-alpha", clock=clock)
    by_hook.answer = 500
    pauses = []
    for _ in range(9):
        before = len(by_hook.posted)
        deliver(clock=clock)
        assert len(by_hook.posted) == before + 1
        waiting = Delivery.objects.get()
        assert waiting.lease_until is not None
        pauses.append((waiting.lease_until - clock.now()).total_seconds())
        deliver(clock=clock)
        assert len(by_hook.posted) == before + 1, "it rests"
        clock.advance(timedelta(seconds=pauses[-1] + 1))
    assert pauses == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    by_hook.answer = 200
    assert deliver(clock=clock) == 1


def test_a_channel_that_is_down_delays_no_other(
    by_hook: Hook, by_mail: MailServer, clock: ManualClock, env: Change
) -> None:
    env(notify_smtp_url="smtp://127.0.0.1:1")
    wait_for_approval("org-alpha", clock=clock)
    assert deliver(clock=clock) == 1
    assert told(by_hook) == [("org-alpha", False)]
    env(notify_smtp_url=f"smtp://127.0.0.1:{by_mail.port}")
    clock.advance(timedelta(seconds=16))
    assert deliver(clock=clock) == 1
    assert len(by_mail.received) == 1


def test_what_a_killed_process_held_is_sent_by_the_next(
    by_hook: Hook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_approval("org-alpha", clock=clock)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(WebhookChannel, "send", die)
    with pytest.raises(KeyboardInterrupt):
        deliver(clock=clock)
    monkeypatch.undo()
    assert deliver(clock=clock) == 0
    clock.advance(deliveries.LEASE + timedelta(seconds=1))
    assert deliver(clock=clock) == 1


def test_a_slow_channel_gives_the_worker_back(
    by_hook: Hook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_approval("org-alpha", "org-beta", clock=clock)
    monkeypatch.setattr(deliveries, "RUN_SECONDS", 0.2)
    by_hook.seconds = 0.3
    assert deliver(clock=clock) == 1
    by_hook.seconds = 0.0
    assert deliver(clock=clock) == 1, "the next run has the rest"


@pytest.mark.django_db(transaction=True)
def test_concurrent_runs_send_each_message_once(by_hook: Hook, clock: ManualClock) -> None:
    wait_for_approval(*(f"org-{number}" for number in range(12)), clock=clock)
    sent = in_threads(*([lambda: deliver(clock=clock)] * 3))
    assert sum(sent) + deliver(clock=clock) == 12
    assert sorted(told(by_hook)) == sorted((f"org-{number}", False) for number in range(12))


@pytest.mark.django_db(transaction=True)
def test_two_that_want_the_same_row_get_it_once(
    by_hook: Hook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends waits for the other to have claimed as well; there is nothing for the other to claim."""
    wait_for_approval("org-alpha", clock=clock)
    send = WebhookChannel.send
    claimed, other_is_through = threading.Event(), threading.Event()

    def send_late(channel: WebhookChannel, messages: Sequence[Message]) -> None:
        claimed.set()
        assert other_is_through.wait(30)
        send(channel, messages)

    monkeypatch.setattr(WebhookChannel, "send", send_late)

    def second() -> int:
        assert claimed.wait(30)
        sent = deliver(clock=clock)
        other_is_through.set()
        return sent

    assert in_threads(lambda: deliver(clock=clock), second) == [1, 0]
    assert len(by_hook.posted) == 1


@pytest.mark.parametrize(("level", "count"), [("info", 1), ("warning", 0), ("critical", 0)])
def test_only_what_is_grave_enough_leaves(
    by_hook: Hook, clock: ManualClock, env: Change, level: str, count: int
) -> None:
    env(notify_level=level)
    wait_for_approval("org-alpha", clock=clock)
    approve_all(clock)
    assert deliver(clock=clock) == 2 * count


def test_the_end_is_told_to_whom_the_opening_was(
    by_hook: Hook, by_mail: MailServer, clock: ManualClock, env: Change
) -> None:
    env(notify_email=None)
    wait_for_approval("org-alpha", clock=clock)
    env(notify_email=("kim@example.org",))
    approve_all(clock)
    assert deliver(clock=clock) == 2
    assert by_mail.received == []


def test_the_end_is_told_also_if_the_level_was_raised_since(by_hook: Hook, clock: ManualClock, env: Change) -> None:
    wait_for_approval("org-alpha", clock=clock)
    env(notify_level="critical")
    approve_all(clock)
    deliver(clock=clock)
    assert told(by_hook) == [("org-alpha", False), ("org-alpha", True)]


def test_nobody_is_told_where_no_channel_is_configured(clock: ManualClock) -> None:
    assert registry.configured() == []
    wait_for_approval("org-alpha", clock=clock)
    assert not Delivery.objects.exists()
    assert deliver(clock=clock) == 0

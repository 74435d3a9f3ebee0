"""The notifications' figures for `/metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from flxdr.notifications.kinds import Severity
from flxdr.notifications.selectors import last_review, open_notifications
from flxdr.platform.metrics.figures import Figure, Sample, Source, register_source

OPEN = Figure("flxdr_notifications_open", "Conditions that ask for an operator now.", ("severity",))
REVIEWED = Figure(
    "flxdr_notifications_reviewed_timestamp_seconds",
    "When somebody last looked for such conditions, in seconds since 1970.",
)


def register() -> None:
    """Let `/metrics` tell them."""
    register_source(Source("notifications", (OPEN, REVIEWED), read))


def read() -> Iterator[Sample]:
    counted = Counter(str(each.severity) for each in open_notifications())
    for severity in Severity:
        yield OPEN.at(counted[severity.value], severity.value)
    reviewed = last_review()
    if reviewed is not None:
        yield REVIEWED.at(reviewed.timestamp())

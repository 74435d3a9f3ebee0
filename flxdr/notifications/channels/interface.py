"""What a channel delivers, and how it says that it could not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from flxdr.core.errors import Unavailable
from flxdr.notifications.kinds import Severity


class NotDelivered(Unavailable):
    """The channel did not confirm these messages: they are sent again later. Others may go through it."""

    code = "notification_not_delivered"
    title = "Notification not delivered"


class ChannelDown(NotDelivered):
    """Nothing goes through the channel now."""

    code = "notification_channel_down"


@dataclass(frozen=True)
class Message:
    """That a notification opened or closed.

    Attributes:
        id: of the notification; with `closed_at` it tells a repeated message from a new one.
        text: one sentence, in the site's language.
        url: of the page on which an operator acts; only its path where `FL_PUBLIC_URL` is not set.
    """

    id: int
    kind: str
    severity: Severity
    subject: str
    text: str
    opened_at: datetime
    closed_at: datetime | None
    url: str

    @property
    def is_over(self) -> bool:
        return self.closed_at is not None


class Channel(Protocol):
    """A way to the operators."""

    name: ClassVar[str]
    batch: ClassVar[int]
    """Messages that it takes at a time."""

    def send(self, messages: Sequence[Message]) -> None:
        """Deliver all messages; returning means that the next station has them safely.

        Raises:
            NotDelivered: some may have arrived, so all are sent again.
        """
        ...

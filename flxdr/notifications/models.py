"""Notifications, their deliveries by channel, and when somebody last looked for what to notify of."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from flxdr.notifications import kinds
from flxdr.notifications.kinds import Severity


class Notification(models.Model):
    """A condition that asks for an operator: open as long as it holds, then closed and kept.

    `kind` and `subject` say what it is about; `data` is what the sentence is filled in with.
    """

    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    data = models.JSONField(default=dict, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "subject"), condition=Q(closed_at__isnull=True), name="one_open_notification_each"
            ),
            models.CheckConstraint(
                name="notification_closes_after_it_opened",
                condition=Q(closed_at__isnull=True) | Q(closed_at__gte=F("opened_at")),
            ),
        )
        indexes = (models.Index(fields=("closed_at",), name="notification_closed"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def text(self) -> str:
        """What holds, or that it does not hold any more, in the language that is active."""
        return kinds.sentence(self.kind, self.data, over=not self.is_open)

    @property
    def text_when_open(self) -> str:
        """What holds, or held."""
        return kinds.sentence(self.kind, self.data, over=False)

    @property
    def path(self) -> str:
        """The path of the page on which an operator acts."""
        return kinds.path(self.kind, self.data)


class Delivery(models.Model):
    """That a notification opened, or closed, on its way through one channel: sent later, at least once."""

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook"

    class News(models.TextChoices):
        OPENED = "opened"
        CLOSED = "closed"

    notification = models.ForeignKey(Notification, on_delete=models.PROTECT, related_name="deliveries")
    channel = models.CharField(max_length=8, choices=Channel)
    news = models.CharField(max_length=8, choices=News)
    created_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    token = models.CharField(max_length=32, blank=True, help_text="of the process that is sending it")
    lease_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "deliveries"
        constraints = (
            models.UniqueConstraint(
                fields=("notification", "channel", "news"), name="news_goes_once_through_each_channel"
            ),
        )
        indexes = (models.Index(fields=("id",), name="delivery_unsent", condition=Q(sent_at__isnull=True)),)

    def __str__(self) -> str:
        return f"{self.notification} {self.news} by {self.channel}"


class LastReview(models.Model):
    """When the last review was made, in the only row: that nothing is open says little if nobody looked."""

    at = models.DateTimeField()

    class Meta:
        verbose_name = "last review"
        constraints = (models.CheckConstraint(name="one_last_review", condition=Q(id=1)),)

    def __str__(self) -> str:
        return f"last review at {self.at.isoformat()}"

"""Notifications: what asks for an operator, on the pages, by e-mail and by webhook."""

from __future__ import annotations

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "flxdr.notifications"
    label = "notifications"
    verbose_name = "Notifications"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flxdr.notifications import figures  # noqa: PLC0415 (models load first)

        figures.register()

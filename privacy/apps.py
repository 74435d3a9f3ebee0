"""The privacy app: the budget's rows, and checks of the privacy settings."""

from __future__ import annotations

from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    name = "privacy"
    verbose_name = "Privacy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from privacy import checks, figures  # noqa: F401, PLC0415  (models load first; registers the system checks)

        figures.register()

"""The floor that the apps stand on: authentication, audit, telemetry, storage."""

from __future__ import annotations

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "flxdr.platform"
    label = "platform"
    verbose_name = "Platform"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flxdr.platform.metrics import platform  # noqa: PLC0415 (models load first)

        platform.register()

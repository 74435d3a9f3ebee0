"""The site: what ties the apps together."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Registers the system checks of the configuration; the pages and commands of the site live here too."""

    name = "flxdr"
    label = "site_flxdr"
    verbose_name = "flxdr"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flxdr import celery, checks  # noqa: F401, PLC0415 - they need the apps to be loaded
        from flxdr.backup import figures  # noqa: PLC0415

        figures.register()

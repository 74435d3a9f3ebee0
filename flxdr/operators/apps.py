"""The operators' application: their roles, their accounts, their second factor."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class OperatorsConfig(AppConfig):
    """Who operates the coordinator, and what each may do."""

    name = "flxdr.operators"
    label = "operators"
    verbose_name = "Operators"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flxdr.operators import signals  # noqa: PLC0415 - they need the apps to be loaded
        from flxdr.operators.granting import grant_roles  # noqa: PLC0415

        signals.connect()

        # Of the groups' application, whose tables are needed.
        post_migrate.connect(grant_roles, sender=apps.get_app_config("auth"), dispatch_uid="operators.grant_roles")

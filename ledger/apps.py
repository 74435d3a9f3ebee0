"""The ledger app: makes genesis as soon as its tables exist."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flxdr.platform import identity  # noqa: PLC0415
        from flxdr.platform.api.probes import register_check  # noqa: PLC0415
        from ledger import figures, selectors  # noqa: PLC0415  (models load first)

        identity.register(selectors.coordinator_key_id)
        register_check("chain", selectors.require_sound_head)
        figures.register()
        post_migrate.connect(_ensure_genesis, sender=self, dispatch_uid="ledger.ensure_genesis")


def _ensure_genesis(*, using: str, **_: Any) -> None:
    from flxdr.core.clock import SystemClock  # noqa: PLC0415  (services need the app registry)
    from ledger.models import Block  # noqa: PLC0415
    from ledger.services.genesis import ensure_genesis  # noqa: PLC0415

    # `migrate ledger zero` sends the signal too, when there is no table to write to.
    if using == "default" and Block._meta.db_table in connections[using].introspection.table_names():
        ensure_genesis(clock=SystemClock())

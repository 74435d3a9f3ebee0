"""The federation's Django application; registers what lower floors take from it as protocols."""

from __future__ import annotations

from django.apps import AppConfig


class FederationConfig(AppConfig):
    name = "federation"
    verbose_name = "Federation"

    def ready(self) -> None:
        from federation import figures  # noqa: PLC0415 (models load first)
        from federation.services.directory import OrganizationDirectory  # noqa: PLC0415 (models load first)
        from federation.services.recomputation import ReleaseRecomputer  # noqa: PLC0415
        from federation.services.release import ReleaseListener  # noqa: PLC0415
        from flxdr.platform.auth import directory  # noqa: PLC0415
        from ledger.services import listeners, recomputation  # noqa: PLC0415

        figures.register()
        directory.register(OrganizationDirectory())
        listeners.register(ReleaseListener())
        recomputation.register(ReleaseRecomputer())

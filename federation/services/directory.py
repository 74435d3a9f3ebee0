"""Who an organisation is, as the platform's authentication asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q

from federation import selectors
from federation.models import Organization
from flxdr.core.clock import Clock, SystemClock
from flxdr.core.keys import PublicKey
from flxdr.platform.auth.directory import Standing

SEEN_RESOLUTION = timedelta(seconds=60)
_STANDINGS = {Organization.Status.ACTIVE: Standing.ACTIVE, Organization.Status.SUSPENDED: Standing.SUSPENDED}


class OrganizationDirectory:
    """The platform's `Directory` over the federation's organisations."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def signing_keys(self, org_id: str) -> Sequence[PublicKey]:
        """The proven keys of an organisation; empty for unknown, key-less and unproven ones."""
        return selectors.signing_keys(org_id)

    def standing(self, org_id: str) -> Standing:
        status = Organization.objects.filter(org_id=org_id).values_list("status", flat=True).first()
        return Standing.OTHER if status is None else _STANDINGS.get(Organization.Status(status), Standing.OTHER)

    def touch(self, org_id: str) -> None:
        """Note that the organisation was seen; at most one write a minute.

        Looked at first: on SQLite an update that changes no row waits for the others' writes all the same.
        """
        now = self._clock.now()
        stale = Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=now - SEEN_RESOLUTION)
        unseen = Organization.objects.filter(stale, org_id=org_id)
        if unseen.exists():
            unseen.update(last_seen_at=now)

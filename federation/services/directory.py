"""Who an organisation is, as the platform's authentication asks for it."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q

from federation import selectors
from federation.models import Organization
from flxdr.core.clock import Clock, SystemClock
from flxdr.platform.auth.directory import Record, Standing

SEEN_RESOLUTION = timedelta(seconds=60)
_STANDINGS = {Organization.Status.ACTIVE: Standing.ACTIVE, Organization.Status.SUSPENDED: Standing.SUSPENDED}


class OrganizationDirectory:
    """The platform's `Directory` over the federation's organisations."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def look_up(self, org_id: str) -> Record:
        """One query; an organisation counts as seen lately for a minute, so that not every request writes."""
        organization = Organization.objects.filter(org_id=org_id).first()
        if organization is None:
            return Record()
        seen_at = organization.last_seen_at
        return Record(
            standing=_STANDINGS.get(Organization.Status(organization.status), Standing.OTHER),
            signing_keys=selectors.proven_keys(organization),
            seen_lately=seen_at is not None and self._clock.now() - seen_at <= SEEN_RESOLUTION,
        )

    def touch(self, org_id: str) -> None:
        """Note that the organisation was seen; somebody else may have done so a moment ago."""
        now = self._clock.now()
        stale = Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=now - SEEN_RESOLUTION)
        Organization.objects.filter(stale, org_id=org_id).update(last_seen_at=now)

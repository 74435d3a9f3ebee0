"""Routes of the operator's pages; every page is a package of its own."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("flxdr.dashboard.overview.urls")),
    path("rounds/", include("flxdr.dashboard.rounds.urls")),
    path("organizations/", include("flxdr.dashboard.organizations.urls")),
    path("enrolment/", include("flxdr.dashboard.enrolment.urls")),
    path("confirmations/", include("flxdr.dashboard.confirmations.urls")),
    path("ledger/", include("flxdr.dashboard.ledger.urls")),
    path("privacy/", include("flxdr.dashboard.privacy.urls")),
    path("models/", include("flxdr.dashboard.models.urls")),
    path("detections/", include("flxdr.dashboard.detections.urls")),
    path("notifications/", include("flxdr.dashboard.notifications.urls")),
    path("audit/", include("flxdr.dashboard.audit.urls")),
]

"""Routes of the privacy app under `/api/fl-blockchain/`."""

from __future__ import annotations

from django.urls import path

from privacy.api.views import PrivacyViewSet

urlpatterns = [
    path("privacy/config", PrivacyViewSet.as_view({"get": "configuration"}), name="contract-privacy-config"),
    path("privacy/budget", PrivacyViewSet.as_view({"get": "budget"}), name="contract-privacy-budget"),
]

"""Routes of the platform under `/api/fl-blockchain/`."""

from __future__ import annotations

from django.urls import path

from flxdr.platform.api.views import SystemViewSet

urlpatterns = [
    path("health", SystemViewSet.as_view({"get": "health"}), name="contract-health"),
    path("info", SystemViewSet.as_view({"get": "info"}), name="contract-info"),
]

"""Routes of the overview."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.overview import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("overview/panels", views.overview_panels, name="overview-panels"),
    path("verify-chain", views.verify_chain, name="verify-chain"),
]

"""Routes of the rounds page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.rounds import acting, starting, views

app_name = "rounds"
urlpatterns = [
    path("", views.index, name="index"),
    path("compare", views.compare, name="compare"),
    path("start", starting.start, name="start"),
    path("start/preview", starting.preview, name="preview"),
    path("start-campaign", starting.start_many, name="start-campaign"),
    path("start-campaign/preview", starting.preview_many, name="preview-campaign"),
    path("campaigns/<int:campaign_id>/abort", acting.abort_campaign, name="abort-campaign"),
    path("<str:round_id>/", views.detail, name="detail"),
    path("<str:round_id>/body", views.body, name="body"),
    path("<str:round_id>/abort", acting.abort, name="abort"),
]

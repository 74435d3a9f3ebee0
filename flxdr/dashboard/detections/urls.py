"""Routes of the detections page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.detections import views

app_name = "detections"
urlpatterns = [
    path("", views.index, name="index"),
]

"""Routes of the privacy page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.privacy import views

app_name = "privacy"
urlpatterns = [
    path("", views.index, name="index"),
    path("what-if/", views.what_if, name="what-if"),
]

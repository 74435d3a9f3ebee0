"""Routes of the organisations page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.organizations import views

app_name = "organizations"
urlpatterns = [
    path("", views.index, name="index"),
]

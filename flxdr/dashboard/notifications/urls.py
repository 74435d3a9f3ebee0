"""Routes of the notifications page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.notifications import views

app_name = "notifications"
urlpatterns = [
    path("", views.index, name="index"),
]

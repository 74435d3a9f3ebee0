"""Routes of the rounds page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.rounds import views

app_name = "rounds"
urlpatterns = [
    path("", views.index, name="index"),
    path("<str:round_id>/", views.detail, name="detail"),
]

"""Routes of the models page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.models import views

app_name = "models"
urlpatterns = [
    path("", views.index, name="index"),
]

"""Routes of the confirmations page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.confirmations import views

app_name = "confirmations"
urlpatterns = [
    path("", views.index, name="index"),
    path("<int:request_id>/confirm/", views.confirm, name="confirm"),
    path("<int:request_id>/cancel/", views.cancel, name="cancel"),
]

"""Routes of the ledger page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.ledger import views

app_name = "ledger"
urlpatterns = [
    path("", views.index, name="index"),
]

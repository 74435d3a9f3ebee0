"""Routes of the enrolment tokens."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.enrolment import views

app_name = "enrolment"
urlpatterns = [
    path("", views.index, name="index"),
    path("<int:token_id>/revoke/", views.revoke, name="revoke"),
]

"""Routes of an organisation's own page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.member import views

app_name = "member"
urlpatterns = [
    path("", views.index, name="index"),
    path("rounds/", views.rounds, name="rounds"),
    path("budget/", views.budget, name="budget"),
    path("rounds/<slug:round_id>/proof.json", views.proof, name="proof"),
    path("sign-in/<str:secret>/", views.sign_in, name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
]

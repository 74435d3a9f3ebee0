"""Routes of the organisations page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.organizations import views

app_name = "organizations"
urlpatterns = [
    path("", views.index, name="index"),
    path("<slug:org_id>/", views.detail, name="detail"),
    path("<slug:org_id>/approve/", views.approve, name="approve"),
    path("<slug:org_id>/decide/<slug:name>/", views.decide, name="decide"),
    path("<slug:org_id>/keys/<slug:key_id>/revoke/", views.revoke_key, name="revoke-key"),
]

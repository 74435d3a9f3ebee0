"""Routes of the detections page."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.detections import views

app_name = "detections"
urlpatterns = [
    path("", views.index, name="index"),
    path("stix", views.page_as_stix, name="stix"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/stix", views.one_as_stix, name="stix-one"),
    path("<int:pk>/review", views.review, name="review"),
]

"""Routes of the models page. No model's name begins with a dash."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.models import views

app_name = "models"
urlpatterns = [
    path("", views.index, name="index"),
    path("-/compare/", views.compare, name="compare"),
    path("-/files/<str:model_hash>", views.download, name="file"),
    path("<str:model_name>/", views.name, name="name"),
    path("<str:model_name>/<int:version>/", views.version, name="version"),
]

"""Routes of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from flxdr.platform.api.docs import ApiDocumentationView
from flxdr.platform.api.probes import healthz, readyz
from flxdr.platform.metrics.views import metrics

urlpatterns = [
    path("api/fl-blockchain/", include("federation.api.urls")),
    path("api/fl-blockchain/", include("ledger.api.urls")),
    path("api/fl-blockchain/", include("privacy.api.urls")),
    path("api/fl-blockchain/", include("flxdr.platform.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs", ApiDocumentationView.as_view(url_name="schema"), name="docs"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("", include("flxdr.operators.urls")),
    path("member/", include("flxdr.dashboard.member.urls")),
    path("", include("flxdr.dashboard.urls")),
]

handler400 = "flxdr.platform.api.problems.bad_request"
handler403 = "flxdr.platform.api.problems.permission_denied"
handler404 = "flxdr.platform.api.problems.page_not_found"
handler500 = "flxdr.platform.api.problems.server_error"

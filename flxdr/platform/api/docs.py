"""Swagger UI under a strict content security policy."""

from __future__ import annotations

from drf_spectacular.views import SpectacularSwaggerSplitView


class ApiDocumentationView(SpectacularSwaggerSplitView):
    """The page loads its script from a second request and has no inline style, so `'self'` is all it needs."""

    template_name = "flxdr_platform/api_documentation.html"
    authentication_classes = []

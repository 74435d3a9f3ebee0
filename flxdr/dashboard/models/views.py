"""Models: what there is, one with its versions, one version, two beside each other, and the file."""

from __future__ import annotations

import re

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from federation.api.model_file import model_file
from federation.models import ModelVersion
from federation.selectors import model_by_hash
from federation.selectors.catalogue import model_cards, versions_page
from flxdr.dashboard.access import page
from flxdr.dashboard.models.comparing import read_comparison
from flxdr.dashboard.models.reading import read_model, read_version
from flxdr.dashboard.paging import Pages, Window
from flxdr.dashboard.wanted import wanted

_HASH = re.compile(r"[0-9a-f]{64}")


@page("federation.view_modelversion")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Every model, and all versions as far as the filters go."""
    window, model, status = Window.of(request), wanted(request, "model"), wanted(request, "status")
    rows, total = versions_page(model_name=model, status=status, limit=window.limit, offset=window.offset)
    context = {
        "cards": model_cards(),
        "pages": Pages(rows, total, window),
        "model": model,
        "status": status,
        "statuses": ModelVersion.Status.values,
    }
    return render(request, "dashboard/models/index.html", context)


@page("federation.view_modelversion")
@require_GET
def name(request: HttpRequest, model_name: str) -> HttpResponse:
    """One model: how its metrics went, and its versions."""
    window = Window.of(request)
    found = read_model(_known(model_name))
    rows, total = versions_page(model_name=model_name, limit=window.limit, offset=window.offset)
    return render(request, "dashboard/models/name.html", {"found": found, "pages": Pages(rows, total, window)})


@page("federation.view_modelversion")
@require_GET
def version(request: HttpRequest, model_name: str, version: int) -> HttpResponse:
    """One version; with `?candidate=` a refused one that carried the same number."""
    found = read_version(_known(model_name), version, candidate=wanted(request, "candidate"))
    return render(request, "dashboard/models/version.html", {"found": found})


@page("federation.view_modelversion")
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """Two versions beside each other, each named by its hash or as `model:number`."""
    comparison = read_comparison(wanted(request, "a"), wanted(request, "b"))
    return render(request, "dashboard/models/compare.html", {"found": comparison})


@page("federation.view_modelversion")
@require_safe
def download(request: HttpRequest, model_hash: str) -> HttpResponseBase:
    """The canonical file of a model, to be saved under its name."""
    if not _HASH.fullmatch(model_hash):
        raise Http404(f"no model {model_hash[:80]}")
    found = model_by_hash(model_hash)
    answer = model_file(found, meta=request.META)
    filename = f"{found.model_name}-v{found.version}-{model_hash[:12]}.safetensors"
    answer.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return answer


def _known(model_name: str) -> str:
    """A name that a database can look for."""
    if "\x00" in model_name:
        raise Http404("no model of that name")
    return model_name

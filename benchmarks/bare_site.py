"""A bare Django project as the peer of `benchmarks.api`: two views, no middleware, no database.

`POST /store` hashes the body and makes it safe on the disk; `GET` of any other path answers the bytes of the file of
that name. Settings come from the environment: `BARE_FOLDER`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from benchmarks.stored import store

FOLDER = Path(os.environ["BARE_FOLDER"])

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_hex(32),
)


def stored(request: HttpRequest) -> HttpResponse:
    """Store the body."""
    return JsonResponse({"digest": store(request.body, FOLDER)}, status=201)


def answer(request: HttpRequest, name: str) -> HttpResponse:
    """Answer what the coordinator answered."""
    return HttpResponse((FOLDER / name).read_bytes(), content_type="application/json")


urlpatterns = [path("store", stored), path("<str:name>", answer)]
application = get_wsgi_application()

"""What a request's query says in words; it comes from anywhere."""

from __future__ import annotations

from django.http import HttpRequest

MOST_CHARACTERS = 100


def wanted(request: HttpRequest, name: str) -> str:
    """The text of a parameter, trimmed, without the zero characters that a database would refuse; empty: none."""
    return request.GET.get(name, "").replace("\x00", "").strip()[:MOST_CHARACTERS]

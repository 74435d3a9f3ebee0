"""What a proxy in front of the coordinator says of a client, and when it is believed (`FL_BEHIND_PROXY`)."""

from __future__ import annotations

import ipaddress
import socket

from django.conf import settings
from django.http import HttpRequest


def came_over_unix_socket(request: HttpRequest) -> bool:
    """Whether gunicorn took this connection on a unix socket, which only a program of this machine can open.

    The socket itself is looked at: an address may be missing for many reasons, and any client can send a header.
    """
    connection = request.META.get("gunicorn.socket")
    return isinstance(connection, socket.socket) and connection.family == socket.AF_UNIX


def client_address(request: HttpRequest) -> str | None:
    """Where a request comes from, as text in its shortest form; None over a unix socket whose proxy says nothing.

    Behind a proxy this is the last entry of `X-Forwarded-For`: the one that the proxy itself wrote, whatever a client
    put before it. Sign-ins are locked and requests are counted by this address.
    """
    if settings.FLXDR.behind_proxy:
        last = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        forwarded = _normal(last)
        if forwarded is not None:
            return forwarded
    return _normal(request.META.get("REMOTE_ADDR", ""))


def _normal(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def sender_of(address: str | None) -> str:
    """Whom an address stands for where requests are counted: itself, and for IPv6 its /64, which one client owns."""
    if address is None:
        return "unknown"
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))

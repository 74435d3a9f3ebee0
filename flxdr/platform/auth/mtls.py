"""Client certificates (`JARVIS_MTLS_REQUIRED`)."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from flxdr.core.errors import FlxdrError
from flxdr.platform.api.problems import problem_response
from flxdr.platform.errors import CertificateRefused, CertificateRequired

PROBES = ("/healthz", "/readyz")


class ClientCertificateMiddleware:
    """Lets in only peers whose certificate gunicorn's own TLS socket verified. No header is looked at: any client
    could set it. The probes of the machine that runs the site are exempt."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.FLXDR.mtls_required and request.path not in PROBES:
            try:
                check_certificate(peer_certificate(request), settings.FLXDR.mtls_allowed_fingerprints or ())
            except FlxdrError as error:
                return problem_response(error)
        return self.get_response(request)


def peer_certificate(request: HttpRequest) -> bytes | None:
    """The DER certificate that the peer of this very connection proved to own, or None."""
    socket = request.META.get("gunicorn.socket")
    if not isinstance(socket, ssl.SSLSocket) or socket.context.verify_mode == ssl.CERT_NONE:
        return None
    return socket.getpeercert(binary_form=True)


def check_certificate(certificate: bytes | None, allowed_fingerprints: tuple[str, ...]) -> None:
    """Refuse a connection without a certificate, or with one that is not on the list (an empty list allows all).

    Raises:
        CertificateRequired, CertificateRefused
    """
    if certificate is None:
        raise CertificateRequired(
            "this connection has no verified client certificate",
            expected="TLS with a client certificate, straight to the server",
        )
    fingerprint = hashlib.sha256(certificate).hexdigest()
    if allowed_fingerprints and fingerprint not in {normal_fingerprint(text) for text in allowed_fingerprints}:
        raise CertificateRefused(
            "the client certificate is not on the list", action="Ask the operator to add it.", fingerprint=fingerprint
        )


def normal_fingerprint(text: str) -> str:
    """Fingerprints as `sha256:AA:BB...`, `AA:BB...` or plain hex, in one spelling."""
    return text.lower().removeprefix("sha256:").replace(":", "")

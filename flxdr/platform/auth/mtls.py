"""Client certificates (`JARVIS_MTLS_REQUIRED`)."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from flxdr.core.errors import FlxdrError
from flxdr.platform.api.problems import problem_response
from flxdr.platform.errors import CertificateRefused, CertificateRequired
from flxdr.platform.proxy import came_over_unix_socket

PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked by whatever runs and watches the site, from inside: without a certificate, TLS (`SECURE_REDIRECT_EXEMPT`) or
being counted. They tell nothing secret, `/metrics` only to who has its token."""
CERTIFICATE_HEADER = "HTTP_X_CLIENT_CERT"
"""The certificate in PEM, percent-encoded: nginx's `$ssl_client_escaped_cert`."""
VERDICT_HEADER = "HTTP_X_CLIENT_VERIFY"
"""What nginx found when it verified that certificate: its `$ssl_client_verify`."""


class ClientCertificateMiddleware:
    """Lets in only peers whose certificate was verified, by gunicorn's own TLS socket or by nginx in front of it.

    `PROBES` are exempt.
    """

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
    """The DER certificate that the client of this very connection proved to own, or None.

    Raises:
        CertificateRefused: the proxy's header cannot be read.
    """
    connection = request.META.get("gunicorn.socket")
    if isinstance(connection, ssl.SSLSocket):
        return None if connection.context.verify_mode == ssl.CERT_NONE else connection.getpeercert(binary_form=True)
    return _forwarded_certificate(request)


def _forwarded_certificate(request: HttpRequest) -> bytes | None:
    """What nginx verified. Its headers count over the unix socket alone, where nothing but the proxy can connect: over
    TCP whoever reaches the port could send them."""
    if not (settings.FLXDR.behind_proxy and came_over_unix_socket(request)):
        return None
    if request.META.get(VERDICT_HEADER) != "SUCCESS":
        return None
    try:
        pem = unquote_to_bytes(request.META.get(CERTIFICATE_HEADER, ""))
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise CertificateRefused(
            "the proxy's client certificate cannot be read",
            expected="X-Client-Cert: one certificate in PEM, percent-encoded",
            action="Ask the operator to compare the proxy with deploy/nginx.",
        ) from error


def check_certificate(certificate: bytes | None, allowed_fingerprints: tuple[str, ...]) -> None:
    """Refuse a connection without a certificate, or with one that is not on the list (an empty list allows all).

    Raises:
        CertificateRequired, CertificateRefused
    """
    if certificate is None:
        raise CertificateRequired(
            "this connection has no verified client certificate",
            expected="TLS with a client certificate that the coordinator's authority signed",
        )
    fingerprint = hashlib.sha256(certificate).hexdigest()
    if allowed_fingerprints and fingerprint not in {normal_fingerprint(text) for text in allowed_fingerprints}:
        raise CertificateRefused(
            "the client certificate is not on the list", action="Ask the operator to add it.", fingerprint=fingerprint
        )


def normal_fingerprint(text: str) -> str:
    """Fingerprints as `sha256:AA:BB...`, `AA:BB...` or plain hex, in one spelling."""
    return text.lower().removeprefix("sha256:").replace(":", "")

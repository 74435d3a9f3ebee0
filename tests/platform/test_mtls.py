"""Only a certificate that the TLS socket itself verified lets anyone in; headers do not."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.test import Client

from flxdr.platform.auth.mtls import normal_fingerprint

HEALTH = "/api/fl-blockchain/health"


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path
    fingerprint: str


def health(environ: dict[str, Any]) -> Any:
    return Client(HTTP_HOST="localhost").get(HEALTH, **environ)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def write(
    folder: Path,
    subject: str,
    key: EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: EllipticCurvePrivateKey,
    *,
    is_authority: bool = False,
) -> Identity:
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(minutes=10))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, SHA256())
    )
    identity = Identity(folder / f"{subject}.pem", folder / f"{subject}.key", certificate.fingerprint(SHA256()).hex())
    identity.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    identity.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return identity


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    folder = tmp_path_factory.mktemp("certificates")
    authority_key = generate_private_key(SECP256R1())
    made = {"authority": write(folder, "authority", authority_key, "authority", authority_key, is_authority=True)}
    for subject in ("server", "client", "other"):
        made[subject] = write(folder, subject, generate_private_key(SECP256R1()), "authority", authority_key)
    return made


@contextmanager
def server_side_of_a_connection(
    identities: dict[str, Identity], client: str | None, mode: ssl.VerifyMode
) -> Iterator[ssl.SSLSocket]:
    """The server's socket of a TLS connection, as gunicorn hands it to the application."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(identities["server"].certificate, identities["server"].key)
    server.load_verify_locations(identities["authority"].certificate)
    server.verify_mode = mode
    peer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    peer.check_hostname = False
    peer.load_verify_locations(identities["authority"].certificate)
    if client is not None:
        peer.load_cert_chain(identities[client].certificate, identities[client].key)
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        for end in (ours, theirs):
            end.settimeout(10)

        def connect() -> None:
            with peer.wrap_socket(theirs) as connection:
                connection.recv(1)

        thread = Thread(target=connect)
        thread.start()
        secure = server.wrap_socket(ours, server_side=True)
        try:
            yield secure
        finally:
            secure.sendall(b"x")
            thread.join()
            secure.close()


class Case(NamedTuple):
    """A client, what the server asks of it, whose certificates are let in, and why it is refused."""

    client: str | None
    mode: ssl.VerifyMode
    allowed: list[str] | None
    refusal: str | None


@pytest.mark.parametrize(
    "case",
    [
        Case("client", ssl.CERT_REQUIRED, None, None),
        Case("client", ssl.CERT_REQUIRED, ["client"], None),
        Case("client", ssl.CERT_REQUIRED, ["other", "client"], None),
        Case("client", ssl.CERT_REQUIRED, ["other"], "client_certificate_refused"),
        Case("client", ssl.CERT_OPTIONAL, ["client"], None),
        Case(None, ssl.CERT_OPTIONAL, None, "client_certificate_required"),
        Case("client", ssl.CERT_NONE, None, "client_certificate_required"),
        Case(None, ssl.CERT_NONE, None, "client_certificate_required"),
    ],
)
def test_certificates(case: Case, identities: dict[str, Identity], env: Any) -> None:
    fingerprints = None if case.allowed is None else tuple(identities[who].fingerprint for who in case.allowed)
    env(mtls_required=True, mtls_allowed_fingerprints=fingerprints)
    with server_side_of_a_connection(identities, case.client, case.mode) as connection:
        response = health({"gunicorn.socket": connection})
    assert response.status_code == (200 if case.refusal is None else 403)
    assert case.refusal is None or response.json()["code"] == case.refusal


@pytest.mark.parametrize(
    "header",
    [
        "HTTP_X_SSL_CLIENT_CERT",
        "HTTP_X_CLIENT_CERT",
        "HTTP_X_FORWARDED_CLIENT_CERT",
        "HTTP_SSL_CLIENT_CERT",
        "SSL_CLIENT_CERT",
        "HTTP_GUNICORN_SOCKET",
    ],
)
def test_a_header_is_no_certificate(header: str, identities: dict[str, Identity], env: Any) -> None:
    env(mtls_required=True)
    claimed = identities["client"].certificate.read_text()
    response = health({header: claimed})
    assert (response.status_code, response.json()["code"]) == (403, "client_certificate_required")


@pytest.mark.parametrize(
    ("behind_proxy", "over", "code"),
    [
        (True, socket.AF_UNIX, 200),
        (False, socket.AF_UNIX, 403),
        (True, socket.AF_INET, 403),
        (True, None, 403),
    ],
)
def test_a_proxy_is_believed_over_its_socket_alone(
    behind_proxy: bool,
    over: socket.AddressFamily | None,
    code: int,
    identities: dict[str, Identity],
    env: Any,
) -> None:
    env(mtls_required=True, behind_proxy=behind_proxy, mtls_allowed_fingerprints=(identities["client"].fingerprint,))
    claimed = {"HTTP_X_CLIENT_CERT": quote(identities["client"].certificate.read_text())}
    with ExitStack() as stack:
        connection = None if over is None else stack.enter_context(socket.socket(over))
        response = health({"gunicorn.socket": connection, "HTTP_X_CLIENT_VERIFY": "SUCCESS", **claimed})
    assert response.status_code == code


def test_certificates_are_not_asked_for_unless_required() -> None:
    assert health({}).status_code == 200


def test_probes_need_no_certificate(env: Any) -> None:
    env(mtls_required=True)
    assert Client(HTTP_HOST="localhost").get("/healthz").status_code == 200


def test_spellings_of_a_fingerprint() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    colons = ":".join(digest[i : i + 2] for i in range(0, 64, 2)).upper()
    assert {normal_fingerprint(text) for text in (digest, colons, f"SHA256:{colons}", f"sha256:{digest}")} == {digest}

"""The coordinator behind a real nginx, as `deploy/nginx` sets it up: who gets through, and with what."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import trustme

from flxdr import gunicorn_config
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import HmacKey, issue_token
from tests.support.nginx import Proxy, running_nginx, speaking_tls
from tests.support.processes import API, eventually, free_port
from tests.support.web import production_environment, running_web

MAX_SUBMISSION_BYTES = 256 * 2**20
HEALTH = f"{API}/health"
STATUS = f"{API}/federation/status"


@dataclass(frozen=True)
class Site:
    """A production coordinator that asks for client certificates, and nginx before it."""

    proxy: Proxy
    direct: str
    socket: Path
    folder: Path
    api_hmac_key: str

    def ask(self, path: str = HEALTH, certificate: str | None = None, **headers: str) -> httpx.Response:
        """Through nginx, with one of the certificates."""
        context = speaking_tls(self.folder / "authority.pem", self.pem(certificate) if certificate else None)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx.Client(verify=context, trust_env=False) as client:
            return client.get(f"{self.proxy.https}{path}", headers=names, timeout=30)

    def over_socket(self, path: str = HEALTH, **headers: str) -> httpx.Response:
        """As a program of this machine that may open the socket, in the place of nginx."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket))) as client:
            return client.get(f"http://localhost{path}", headers={"X-Forwarded-Proto": "https", **names}, timeout=30)

    def pem(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def claimed(self, name: str) -> str:
        """A certificate as nginx sends it."""
        return quote(self.pem(name).read_text().partition("-----BEGIN CERT")[2].join(("-----BEGIN CERT", "")), safe="")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.cert_pem.write_to_path(folder / "clients.pem")
    server = authority.issue_cert("localhost")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    now = datetime.now(UTC)
    clients = {
        "member": authority.issue_cert("agent@member.example"),
        "unlisted": authority.issue_cert("agent@unlisted.example"),
        "stranger": stranger.issue_cert("agent@member.example"),
        "expired": authority.issue_cert(
            "agent@expired.example", not_before=now - timedelta(days=9), not_after=now - timedelta(days=2)
        ),
    }
    for name, client in clients.items():
        client.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    listed = [fingerprint(clients[name]) for name in ("member", "stranger", "expired")]
    web_socket, port = folder / "web.sock", free_port()
    environment = production_environment() | {
        "FL_BEHIND_PROXY": "true",
        "JARVIS_MTLS_REQUIRED": "true",
        "JARVIS_MTLS_ALLOWED_FINGERPRINTS": ",".join(listed),
        "FL_MAX_SUBMISSION_BYTES": str(MAX_SUBMISSION_BYTES),
    }
    with ExitStack() as stack:
        stack.enter_context(
            running_web(folder / "state", environment, binds=[f"127.0.0.1:{port}", f"unix:{web_socket}"])
        )
        proxy = stack.enter_context(
            running_nginx(folder, web_socket=web_socket, max_submission_bytes=MAX_SUBMISSION_BYTES)
        )
        yield Site(proxy, f"http://127.0.0.1:{port}", web_socket, folder, environment["API_HMAC_KEY"])


def fingerprint(client: trustme.LeafCert) -> str:
    der = ssl.PEM_cert_to_DER_cert(client.cert_chain_pems[0].bytes().decode())
    return hashlib.sha256(der).hexdigest()


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_a_listed_certificate_gets_through(site: Site) -> None:
    response = site.ask(certificate="member")
    assert (response.status_code, response.json()["status"]) == (200, "healthy")


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (None, "client_certificate_required"),
        ("unlisted", "client_certificate_refused"),
        ("stranger", "client_certificate_refused"),
        ("expired", "client_certificate_refused"),
    ],
)
def test_no_other_does(site: Site, certificate: str | None, code: str) -> None:
    assert refusal(site.ask(certificate=certificate)) == (403, code)


def test_claims_of_a_client_are_overwritten_by_nginx(site: Site) -> None:
    claims = {"X_Client_Cert": site.claimed("member"), "X_Client_Verify": "SUCCESS"}
    assert refusal(site.ask(**claims)) == (403, "client_certificate_required")
    assert refusal(site.ask(certificate="unlisted", **claims)) == (403, "client_certificate_refused")


def test_claims_over_tcp_count_for_nothing(site: Site) -> None:
    claims = {"X-Client-Cert": site.claimed("member"), "X-Client-Verify": "SUCCESS", "X-Forwarded-Proto": "https"}
    response = httpx.get(f"{site.direct}{HEALTH}", headers={"Host": "localhost", **claims}, trust_env=False)
    assert refusal(response) == (403, "client_certificate_required")


def test_over_the_socket_nginx_must_have_verified(site: Site) -> None:
    claimed = site.claimed("member")
    assert site.over_socket(X_Client_Cert=claimed, X_Client_Verify="SUCCESS").status_code == 200
    for verdict in ("NONE", "FAILED:self-signed certificate", "success"):
        refused = site.over_socket(X_Client_Cert=claimed, X_Client_Verify=verdict)
        assert refusal(refused) == (403, "client_certificate_required")
    assert refusal(site.over_socket(X_Client_Cert=claimed)) == (403, "client_certificate_required")
    assert refusal(site.over_socket()) == (403, "client_certificate_required")
    for unreadable in ("", "x", "%ff%fe", "-----BEGIN CERTIFICATE-----%0A!!!%0A-----END CERTIFICATE-----"):
        refused = site.over_socket(X_Client_Cert=unreadable, X_Client_Verify="SUCCESS")
        assert refusal(refused) == (403, "client_certificate_refused")


def test_probes_need_neither_certificate_nor_tls(site: Site) -> None:
    assert httpx.get(f"{site.direct}/healthz", headers={"Host": "localhost"}, trust_env=False).status_code == 200
    assert site.ask("/healthz").status_code == 200


def test_everything_else_is_sent_to_tls(site: Site) -> None:
    moved = httpx.get(f"{site.proxy.http}{STATUS}", trust_env=False)
    assert (moved.status_code, moved.headers["Location"]) == (301, f"https://localhost{STATUS}")


def test_a_body_beyond_the_bound_is_refused_before_it_is_sent(site: Site) -> None:
    """260 MiB are announced and none of it comes: whoever waits for the body answers nothing."""
    host, port = site.proxy.https.removeprefix("https://").split(":")
    request = (
        f"POST {API}/federation/round/submit-gradient HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {260 * 2**20}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        context = speaking_tls(site.folder / "authority.pem", site.pem("member"))
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request.encode())
            head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["code"] == "too_large"


def test_who_sends_slowly_waits_in_nginx(site: Site) -> None:
    """Twice as many as the coordinator has threads send half of a body each; it answers others meanwhile."""
    host, port = site.proxy.https.removeprefix("https://").split(":")
    half = (
        f"POST {API}/federation/round/submit-gradient HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + "x" * 500
    )
    context = speaking_tls(site.folder / "authority.pem", site.pem("member"))
    with ExitStack() as slow:
        for _ in range(2 * gunicorn_config.threads):
            plain = slow.enter_context(socket.create_connection((host, int(port)), timeout=10))
            slow.enter_context(context.wrap_socket(plain, server_hostname="localhost")).sendall(half.encode())
        assert site.ask(certificate="member").status_code == 200


def test_a_client_cannot_choose_the_address_that_its_guesses_count_for(site: Site) -> None:
    context = speaking_tls(site.folder / "authority.pem", site.pem("member"))
    origin = {"Referer": f"{site.proxy.https}/admin/login/"}
    with httpx.Client(verify=context, base_url=site.proxy.https, trust_env=False, headers=origin, timeout=30) as client:
        client.get("/admin/login/")
        answers = [
            client.post(
                "/admin/login/",
                data={"username": "kim", "password": "guess", "csrfmiddlewaretoken": client.cookies["csrftoken"]},
                headers={"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": f"198.51.100.{number}"},
            ).status_code
            for number in range(6)
        ]
    assert answers == [200, 200, 200, 200, 429, 429]


def test_a_token_of_eight_kilobytes_gets_through(site: Site) -> None:
    operator = issue_token(
        key=HmacKey(site.api_hmac_key), subject="kim", role="operator", lifetime=timedelta(minutes=10)
    )
    assert site.ask(STATUS, "member", Authorization=f"Bearer {operator}").status_code == 200
    unknown = issue_token(key=PrivateKey.generate(), subject="kim", role="operator", lifetime=timedelta(minutes=10))
    padded = f"Bearer {unknown}{'A' * (8192 - len(unknown))}"
    assert refusal(site.ask(STATUS, "member", Authorization=padded)) == (401, "token_invalid")


def test_the_log_names_no_query_and_no_one_time_secret(site: Site) -> None:
    site.ask("/member/sign-in/a-secret-of-one-time/?next=a-secret-in-the-query", "member")
    written = '"GET /member/sign-in/..." '  # after the answer
    eventually(lambda: written in site.proxy.access_log(), what="the request is in the log", timeout=10)
    assert "a-secret" not in site.proxy.access_log()

"""Where a request comes from: the connection's other end, or what the proxy in front says, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, RequestFactory

from flxdr.platform.proxy import client_address, sender_of


def seen(**environ: str) -> str | None:
    return client_address(RequestFactory().get("/", **environ))  # type: ignore[arg-type]  # CGI names


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("", None),
        ("/run/flxdr/web.sock", None),
    ],
)
def test_the_other_end_of_the_connection(peer: str, address: str | None) -> None:
    assert seen(REMOTE_ADDR=peer) == address


@pytest.mark.parametrize("header", ["HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_CLIENT_IP"])
def test_no_header_without_a_proxy(header: str) -> None:
    assert seen(REMOTE_ADDR="192.0.2.7", **{header: "198.51.100.9"}) == "192.0.2.7"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("203.0.113.5, 198.51.100.9", "198.51.100.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("198.51.100.9, unknown", "192.0.2.7"),
        ("198.51.100.9,", "192.0.2.7"),
        ("", "192.0.2.7"),
    ],
)
def test_behind_a_proxy_only_what_the_proxy_wrote(forwarded: str, address: str, env: Any) -> None:
    env(behind_proxy=True)
    assert seen(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR=forwarded) == address


def test_one_client_is_counted_once() -> None:
    assert sender_of("2001:db8:0:1::7") == sender_of("2001:db8:0:1:ffff::1") == "2001:db8:0:1::/64"
    assert sender_of("2001:db8:0:2::7") != sender_of("2001:db8:0:1::7")
    assert sender_of("192.0.2.7") == "192.0.2.7"
    assert sender_of(None) == "unknown"


@pytest.mark.django_db
def test_a_lock_out_behind_a_proxy_is_of_the_client_alone(env: Any, django_user_model: Any) -> None:
    """Somebody who guesses kim's password locks kim out nowhere but where the guesses come from."""
    env(behind_proxy=True)
    kim = django_user_model.objects.create_user("kim", password="correct horse battery", is_staff=True)

    def sign_in(password: str, address: str, claimed: str = "203.0.113.1") -> int:
        client = Client(REMOTE_ADDR="", HTTP_X_FORWARDED_FOR=f"{claimed}, {address}")
        return client.post("/admin/login/", {"username": kim.username, "password": password}).status_code

    guesses = [sign_in("guess", "198.51.100.9", f"203.0.113.{number}") for number in range(6)]
    assert guesses == [200, 200, 200, 200, 429, 429]
    assert sign_in("correct horse battery", "198.51.100.9") == 429
    assert sign_in("correct horse battery", "198.51.100.10") == 302

"""An identity provider that lies as it is told: one HTTP server with keys of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CLIENT = {"client_id": "flxdr", "client_secret": "of this test"}
KEY_ID = "key-1"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGERS = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """What it says is in its attributes, which tests change.

    Attributes:
        claims: of the ID token, over the right ones; None leaves one out.
        user_info: of the user info endpoint.
        sign: makes the token from its claims.
        answers: whole answers by path, over the right ones: status and body.
        requests: the paths and forms that were asked for.
    """

    def __init__(self) -> None:
        self.issuer = ""
        self.claims: dict[str, Any] = {}
        self.user_info: dict[str, Any] = {"sub": "kim-1", "preferred_username": "kim", "groups": ["soc"]}
        self.sign: Callable[[Mapping[str, Any]], str] = signed
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.nonce = ""
        self.requests: list[tuple[str, dict[str, list[str]]]] = []

    def answer(self, path: str) -> tuple[int, bytes]:
        if path in self.answers:
            return self.answers[path]
        documents: dict[str, Callable[[], Mapping[str, Any]]] = {
            "/.well-known/openid-configuration": self._metadata,
            "/token": lambda: {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(self._token())},
            "/userinfo": lambda: self.user_info,
            "/jwks": jwks,
        }
        return (200, json.dumps(documents[path]()).encode()) if path in documents else (404, b"")

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
        }

    def _token(self) -> dict[str, Any]:
        now = int(time.time())
        right = {
            "iss": self.issuer, "aud": "flxdr", "sub": "kim-1", "iat": now, "exp": now + 300, "nonce": self.nonce,
        }  # fmt: skip
        return {name: value for name, value in {**right, **self.claims}.items() if value is not None}


def signed(claims: Mapping[str, Any], *, key: Any = RSA, algorithm: str = "RS256", key_id: str | None = KEY_ID) -> str:
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers={"kid": key_id} if key_id else {})


def jwks() -> dict[str, Any]:
    keys = [
        json.loads(RSAAlgorithm.to_jwk(RSA.public_key())) | {"kid": KEY_ID, "alg": "RS256"},
        json.loads(ECAlgorithm.to_jwk(EC.public_key())) | {"kid": KEY_ID, "alg": "ES256"},
    ]
    return {"keys": keys}


@contextmanager
def provider() -> Iterator[Provider]:
    told = Provider()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            told.requests.append((path, parse_qs(body)))
            status, content = told.answer(path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = _any  # noqa: N815
        do_POST = _any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A mail server and a web server of this machine, which behave as the test tells them."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, TCPServer, ThreadingTCPServer
from threading import Event, Thread
from typing import Any, TypeVar

Server = TypeVar("Server", bound=TCPServer)


@dataclass
class Received:
    """A message, to whom, and how it came."""

    recipients: list[str]
    message: EmailMessage
    credentials: str | None
    encrypted: bool


class MailServer(ThreadingTCPServer):
    """Takes messages by SMTP.

    Attributes:
        greets: whether it says anything to who connects.
        answer: to the end of a message.
        tls: certificate for STARTTLS, or for every connection if `tls_at_once`.
    """

    allow_reuse_address = True
    daemon_threads = True
    greets = True
    answer = "250 taken"
    tls: ssl.SSLContext | None = None
    tls_at_once = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.received: list[Received] = []
        self.ended = Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or distrusts the certificate, is what some tests are about."""


class MailHandler(StreamRequestHandler):
    server: MailServer
    timeout = 10

    def setup(self) -> None:
        self.encrypted = False
        if self.server.tls_at_once:
            self.encrypt()
        super().setup()

    def encrypt(self) -> None:
        assert self.server.tls is not None
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.encrypted = True

    def finish(self) -> None:
        super().finish()
        self.request.close()  # not the one that the server knows of, once it is encrypted

    def handle(self) -> None:
        self.credentials: str | None = None
        self.recipients: list[str] = []
        if not self.server.greets:
            self.server.ended.wait(10)
            return
        self.say("220 test")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if not self.obey(verb.upper(), rest):
                return

    def obey(self, verb: str, rest: str) -> bool:
        match verb:
            case "EHLO":
                offers = ["AUTH PLAIN"] + (["STARTTLS"] if self.server.tls and not self.encrypted else [])
                self.say("250-test", *(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}")
            case "STARTTLS":
                self.say("220 go ahead")
                super().finish()
                self.encrypt()
                super().setup()
            case "AUTH":
                self.credentials = base64.b64decode(rest.partition(" ")[2]).decode()
                self.say("235 welcome" if self.credentials.endswith("right") else "535 who are you?")
            case "RCPT":
                self.recipients.append(rest.partition("<")[2].partition(">")[0])
                self.say("250 yes")
            case "DATA":
                self.say("354 go on")
                self.take()
                self.say(self.server.answer)
            case "QUIT":
                self.say("221 bye")
                return False
            case _:
                self.say("250 yes")
        return True

    def take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        if self.server.answer.startswith("250"):
            message = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.server.received.append(Received(self.recipients, message, self.credentials, self.encrypted))

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@dataclass
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read


class Hook(HTTPServer):
    """Takes posts; answers after `seconds`, with `answer` or the next of `answers` as long as there are some."""

    answer = 204
    seconds = 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HookHandler)
        self.posted: list[Posted] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook/of-nobody-else"


class HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Event().wait(self.server.seconds)
        self.server.posted.append(Posted(self.path, dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else self.server.answer)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

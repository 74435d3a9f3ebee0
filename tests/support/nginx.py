"""nginx as it stands in front of a coordinator in production: `deploy/nginx`, its files and ports moved to a folder."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import REPOSITORY, eventually, free_port

TEMPLATE = REPOSITORY / "deploy" / "nginx" / "flxdr.conf.template"
_AROUND = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
{user}
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/flxdr.conf;
}}
"""


def nginx() -> str | None:
    """Path of the installed nginx."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True)
class Proxy:
    """A running nginx."""

    https: str
    http: str
    folder: Path

    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()


@contextmanager
def running_nginx(folder: Path, *, web_socket: Path, max_submission_bytes: int) -> Iterator[Proxy]:
    """nginx before a coordinator's socket.

    Args:
        folder: its state; holds `server.pem`, `server.key` and `clients.pem`.
    """
    ports = {"listen 80;": free_port(), "listen 443 ssl;": free_port()}
    text = TEMPLATE.read_text().replace("${FL_MAX_SUBMISSION_BYTES}", str(max_submission_bytes))
    moved = {
        "/run/flxdr/web.sock": str(web_socket),
        "/etc/nginx/certs/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/",
        "listen 80;": f"listen 127.0.0.1:{ports['listen 80;']};",
        "listen 443 ssl;": f"listen 127.0.0.1:{ports['listen 443 ssl;']} ssl;",
    }
    for original, here in moved.items():
        assert original in text
        text = text.replace(original, here)
    (folder / "flxdr.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""  # the socket's folder is closed to others
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, user=user))
    program = nginx()
    assert program is not None, "nginx is not installed"
    process = subprocess.Popen([program, "-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"])
    proxy = Proxy(f"https://localhost:{ports['listen 443 ssl;']}", f"http://localhost:{ports['listen 80;']}", folder)
    try:
        eventually(
            lambda: process.poll() is None and _listens(ports["listen 443 ssl;"]), what="nginx listens", timeout=10
        )
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def speaking_tls(authority: Path, certificate: Path | None = None) -> ssl.SSLContext:
    """A client's side of TLS: whom it trusts, and the PEM file with its own key and certificate."""
    context = ssl.create_default_context(cafile=authority)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context

"""Web processes alone, as the container image starts them: no worker, no beat, any sockets."""

from __future__ import annotations

import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from flxdr.core.keys import PrivateKey
from tests.support.processes import REPOSITORY, clean_environment, eventually

HOST = "localhost"


def production_environment() -> dict[str, str]:
    """What production refuses to start without."""
    key = PrivateKey.generate()
    return {
        "FL_ENV": "production",
        "FL_ALLOWED_HOSTS": HOST,
        "SECRET_KEY": secrets.token_hex(32),
        "API_HMAC_KEY": secrets.token_hex(32),
        "PQC_SK_B64": b64encode(key.seed).decode(),
        "PQC_PK_B64": b64encode(key.public.spki).decode(),
    }


@contextmanager
def running_web(
    data_dir: Path,
    environment: Mapping[str, str],
    *,
    binds: Sequence[str],
    workers: int = 1,
    options: Sequence[str] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """gunicorn over a migrated database, when it answers.

    Args:
        binds: what it listens on; the first must be TCP without TLS, or a unix socket (`unix:PATH`).
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    surroundings = clean_environment({"FL_DATA_DIR": str(data_dir), **environment})
    manage = [sys.executable, str(REPOSITORY / "manage.py"), "migrate", "--verbosity", "0"]
    subprocess.run(manage, env=surroundings, cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    command = [sys.executable, "-m", "gunicorn", "flxdr.wsgi:application", "--config", "python:flxdr.gunicorn_config"]
    for bind in binds:
        command += ["--bind", bind]
    command += ["--workers", str(workers), *options]
    log_file = data_dir.with_name(f"{data_dir.name}.log")
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command, env=surroundings, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        eventually(lambda: process.poll() is not None or _answers(binds[0]), what="the web answers", timeout=60)
        assert process.poll() is None, log_file.read_text(errors="replace")[-4000:]
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(bind: str) -> bool:
    path = bind.removeprefix("unix:")
    transport = httpx.HTTPTransport(uds=path) if path != bind else httpx.HTTPTransport()
    address = f"http://{HOST}" if path != bind else f"http://{bind}"
    try:
        with httpx.Client(transport=transport, headers={"Host": HOST}) as client:
            return client.get(f"{address}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False

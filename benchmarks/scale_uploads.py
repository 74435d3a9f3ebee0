"""What a web process holds in memory while many organisations send large updates at once."""

from __future__ import annotations

import base64
import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.measure import Row, versions
from benchmarks.organizations import submission_statement
from benchmarks.scale_worker import peak_megabytes
from federation import statements
from flxdr.core.clock import SystemClock
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import ORGANIZATION, issue_token
from models_ml import codec
from tests.support.object_store import object_server
from tests.support.processes import API, Coordinator

ORGANIZATIONS, SIZE = 20, 10_000_000
LIMIT_MB = 600.0


def upload_rows() -> Iterator[Row]:
    """`scale.uploads.*`: with files in a folder, then in a bucket."""
    yield _row("folder", {})
    with object_server() as server:
        yield _row("bucket", server.environment())


def _row(name: str, environment: Mapping[str, str]) -> Row:
    key = PrivateKey.generate()
    own = {"PQC_SK_B64": base64.b64encode(key.seed).decode(), "FL_FEDERATION_TIMEOUT": "3600"}
    with (
        tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder,
        Coordinator(Path(folder) / "data", {**environment, **own}) as coordinator,
    ):
        seconds = _uploaded(coordinator.url, key)
        web = psutil.Process(coordinator.pid("web"))
        peak = max(peak_megabytes(process.pid) for process in web.children(recursive=True))
    sent = ORGANIZATIONS * SIZE * 4 / 1e6
    return Row(
        name=f"scale.uploads.{name}.{ORGANIZATIONS}x1e7",
        ours=peak,
        peer=None,
        ratio=None,
        unit="MB",
        limit=LIMIT_MB,
        limit_ratio=None,
        note=f"peak resident memory of the one web process while {ORGANIZATIONS} organisations send "
        f"{SIZE * 4 / 1e6:g} MB each at once, which took {seconds:.1f} s ({sent / seconds:.0f} MB/s); files in a "
        f"{name}; {versions('django', 'gunicorn')}",
    )


def _uploaded(url: str, coordinator_key: PrivateKey) -> float:
    """Seconds that it takes all organisations together to deliver their updates."""
    values = np.random.default_rng(0).integers(-1000, 1000, SIZE, dtype=np.int32)
    shared = memoryview(codec.encode({"weights": values}))[:-4]
    with httpx.Client(base_url=f"{url}{API}/", timeout=600, trust_env=False) as http:
        senders = [_Sender(http, f"org-{number}", coordinator_key, shared, number) for number in range(ORGANIZATIONS)]
        for sender in senders:
            declared = {"org_id": sender.org_id, "org_name": sender.org_id}
            http.post("federation/register", json=declared).raise_for_status()
        http.post("federation/round/start", json={"min_orgs_required": ORGANIZATIONS}).raise_for_status()
        headers = [sender.headers() for sender in senders]
        start = time.perf_counter()
        with ThreadPoolExecutor(ORGANIZATIONS) as pool:
            list(pool.map(_Sender.submit, senders, headers))
        return time.perf_counter() - start


@dataclass(frozen=True)
class _Sender:
    """An organisation without a key. The updates differ in their last value, so that few bytes serve for all."""

    http: httpx.Client
    org_id: str
    coordinator_key: PrivateKey
    shared: memoryview
    last: int

    def headers(self) -> dict[str, str]:
        """What goes with the update for the current round."""
        now = SystemClock().now()
        token = issue_token(
            key=self.coordinator_key, subject=self.org_id, role=ORGANIZATION, lifetime=timedelta(hours=1), now=now
        )
        own = {"Authorization": f"Bearer {token}"}
        current: dict[str, Any] = (
            self.http.get("federation/round/current", headers=own).raise_for_status().json()["round"]
        )
        digest = hashlib.sha256()
        for part in self._body():
            digest.update(part)
        statement = submission_statement(current, org_id=self.org_id, wire_digest=digest.hexdigest())
        return own | {
            "Content-Type": "application/vnd.safetensors",
            "Content-Length": str(len(self.shared) + 4),
            "Submission-Statement": statements.Envelope(statement).compact(),
        }

    def submit(self, headers: Mapping[str, str]) -> None:
        """Again as often as the coordinator asks for it, as agents do."""
        address = "federation/round/submit-gradient"
        while (answer := self.http.post(address, content=self._body(), headers=headers)).status_code == 503:
            time.sleep(float(answer.headers["Retry-After"]))
        answer.raise_for_status()

    def _body(self) -> Iterator[bytes]:
        for start in range(0, len(self.shared), 2**18):
            yield bytes(self.shared[start : start + 2**18])
        yield np.int32(self.last).tobytes()

"""The containers' health check: `healthcheck.py web|worker|beat`; exit code 0 while that part does its work.

The web process answers `/healthz` under a host name that it serves. A worker and the beat renew `FL_HEARTBEAT_FILE`.
Runs every few seconds, so it imports nothing of the coordinator.
"""

import http.client
import os
import sys
import time

STALE_SECONDS = 60


def web_answers() -> bool:
    host = os.environ.get("FL_ALLOWED_HOSTS", "localhost").split(",")[0].lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("BACKEND_PORT", "8000")), timeout=4)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        return connection.getresponse().status == 200
    except OSError:
        return False


def heartbeat_is_fresh() -> bool:
    try:
        return time.time() - os.stat(os.environ["FL_HEARTBEAT_FILE"]).st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    checks = {"web": web_answers, "worker": heartbeat_is_fresh, "beat": heartbeat_is_fresh}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(f"usage: healthcheck.py {'|'.join(checks)}")
    sys.exit(0 if checks[sys.argv[1]]() else 1)

"""Every variable of the guide, set to something else than its default, changes what a coordinator does.

One real process reads them all. Not here: `JARVIS_MTLS_REQUIRED` (tests/platform/test_mtls.py, tests/e2e/test_nginx.py)
and where telemetry goes (`TELEMETRY_*`), which the tests of the sinks show.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flxdr.core.keys import PrivateKey
from tests.site.test_env import GUIDE
from tests.support.processes import REPOSITORY, clean_environment

KEY = PrivateKey.generate()
HMAC = "an-hmac-key-of-more-than-thirty-two-characters"
ORIGIN = "http://localhost:9999"
VARIABLES = {
    "FL_PRIVACY_EPSILON": "2.5",
    "FL_PRIVACY_DELTA": "1e-6",
    "FL_PRIVACY_CLIPPING_NORM": "3.5",
    "FL_AGGREGATION_METHOD": "RobustAggregator",
    "FL_AGGREGATION_ROBUST_METHOD": "median",
    "FL_PROXIMAL_PARAMETER": "0.05",
    "FL_TRAINING_ROUNDS": "7",
    "FL_BATCH_SIZE": "64",
    "FL_LEARNING_RATE": "0.25",
    "FL_BLOCKCHAIN_VERIFICATION_METHOD": "operator",
    "FL_FEDERATION_TIMEOUT": "900",
    "FL_MAX_ORG_FAILURE_RATE": "0.75",
    "BACKEND_PORT": "8123",
    "API_HMAC_KEY": HMAC,
    "PQC_SK_B64": base64.b64encode(KEY.seed).decode(),
    "PQC_PK_B64": base64.b64encode(KEY.public.spki).decode(),
    "DEV_ALLOWED_ORIGINS": f"['{ORIGIN}']",
}
_ASK = """
import json
from datetime import timedelta
from django.conf import settings
from django.test import Client
from federation.models import TrainingRound
from federation.round_config import RoundConfig
from federation.services.attendance import Attendance
from federation.services.campaigns import outlook_on_campaign
from flxdr.core.clock import SystemClock
from flxdr.management.commands.up import Command
from flxdr.platform.auth.tokens import HmacKey, issue_token
from flxdr.platform.identity import coordinator_key
from ledger import selectors as ledger

here = Client(HTTP_HOST="localhost", REMOTE_ADDR="127.0.0.1")
api = "/api/fl-blockchain/"

def post(path, body):
    answer = here.post(api + path, body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return answer.json()

for name in ("org-a", "org-b", "org-c"):
    post("federation/register", {"org_id": name, "org_name": name})
robust = post("federation/round/start", {})
prox = post("federation/round/start", {"model": "edge-classifier", "aggregation_method": "FedProx"})
configs = [RoundConfig.decode(bytes(TrainingRound.objects.get(round_id=r["round_id"]).config)) for r in (robust, prox)]
started = TrainingRound.objects.get(round_id=robust["round_id"])
token = issue_token(key=HmacKey("%s"), subject="kim", role="operator", lifetime=timedelta(minutes=5))
elsewhere = {"REMOTE_ADDR": "203.0.113.9", "HTTP_AUTHORIZATION": f"Bearer {token}"}
settings_of_privacy = here.get(api + "privacy/config").json()["differential_privacy"]
answers = {
    "FL_PRIVACY_EPSILON": settings_of_privacy["epsilon"],
    "FL_PRIVACY_DELTA": settings_of_privacy["delta"],
    "FL_PRIVACY_CLIPPING_NORM": settings_of_privacy["clipping_norm"],
    "FL_AGGREGATION_METHOD": configs[0].aggregation_method,
    "FL_AGGREGATION_ROBUST_METHOD": configs[0].aggregation_params["robust_method"],
    "FL_PROXIMAL_PARAMETER": configs[1].local.proximal_ppm,
    "FL_TRAINING_ROUNDS": outlook_on_campaign(model_name="edge-normaliser", clock=SystemClock()).rounds,
    "FL_BATCH_SIZE": configs[0].local.batch_size,
    "FL_LEARNING_RATE": configs[0].local.learning_rate_ppm,
    "FL_BLOCKCHAIN_DB_PATH": str(settings.DATABASES["default"]["NAME"]),
    "FL_BLOCKCHAIN_VERIFICATION_METHOD": ledger.quorum_policy().method,
    "FL_FEDERATION_TIMEOUT": round((started.deadline - started.started_at).total_seconds()),
    "FL_MAX_ORG_FAILURE_RATE": Attendance(4, ["a", "b", "c"]).shortfall(minimum=1),
    "BACKEND_PORT": Command().create_parser("manage.py", "up").get_default("port"),
    "API_HMAC_KEY": here.get(api + "federation/status", **elsewhere).status_code,
    "PQC_SK_B64": coordinator_key().public.spki.hex(),
    "DEV_ALLOWED_ORIGINS": here.get(api + "health", HTTP_ORIGIN="%s")["Access-Control-Allow-Origin"],
}
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger") / "chain.db"


@pytest.fixture(scope="module")
def answers(database: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a coordinator with `VARIABLES` did, by the variable that decides it."""
    own = {"FL_DATA_DIR": str(tmp_path_factory.mktemp("state")), "FL_BLOCKCHAIN_DB_PATH": str(database)}

    def manage(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "manage.py"), *arguments],
            env=clean_environment({**VARIABLES, **own}),
            cwd=REPOSITORY,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    manage("migrate", "--verbosity", "0")
    found: dict[str, Any] = json.loads(manage("shell", "--no-imports", "-c", _ASK % (HMAC, ORIGIN)).splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("FL_PRIVACY_EPSILON", 2.5),
        ("FL_PRIVACY_DELTA", 1e-6),
        ("FL_PRIVACY_CLIPPING_NORM", 3.5),
        ("FL_AGGREGATION_METHOD", "RobustAggregator"),
        ("FL_AGGREGATION_ROBUST_METHOD", "median"),
        ("FL_PROXIMAL_PARAMETER", 50_000),
        ("FL_TRAINING_ROUNDS", 7),
        ("FL_BATCH_SIZE", 64),
        ("FL_LEARNING_RATE", 250_000),
        ("FL_BLOCKCHAIN_VERIFICATION_METHOD", "operator"),
        ("FL_FEDERATION_TIMEOUT", 900),
        ("FL_MAX_ORG_FAILURE_RATE", None),
        ("BACKEND_PORT", 8123),
        ("API_HMAC_KEY", 200),
        ("PQC_SK_B64", KEY.public.spki.hex()),
        ("DEV_ALLOWED_ORIGINS", ORIGIN),
    ],
)
def test_it_decides_what_the_coordinator_does(name: str, expected: Any, answers: dict[str, Any]) -> None:
    assert answers[name] == expected


def test_the_ledger_lies_where_it_is_told_to(database: Path, answers: dict[str, Any]) -> None:
    assert answers["FL_BLOCKCHAIN_DB_PATH"] == str(database)
    assert database.stat().st_size > 0


def test_none_is_left_out(answers: dict[str, Any]) -> None:
    assert set(answers) == {*VARIABLES, "FL_BLOCKCHAIN_DB_PATH"} - {"PQC_PK_B64"}
    assert set(GUIDE) - set(answers) == {"JARVIS_MTLS_REQUIRED", "TELEMETRY_BACKEND", "TELEMETRY_KAFKA_BROKERS"}

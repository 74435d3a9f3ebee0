"""`manage.py check --deploy` has nothing to say of a good production configuration, and something of each bad one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flxdr.platform.auth.mtls import PROBES
from flxdr.settings import SECURE_REDIRECT_EXEMPT
from tests.support.processes import REPOSITORY, clean_environment
from tests.support.web import production_environment


def check(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment({"FL_DATA_DIR": str(folder), **production_environment(), **changes})
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def named(ended: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"\((\w+\.[EW]\d+)\)", ended.stderr)


def test_good_production_is_clean(tmp_path: Path) -> None:
    ended = check(tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "System check identified no issues (1 silenced).\n"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"FL_HSTS": "host"}, []),
        (
            {
                "FL_HSTS": "off",
                "FL_DEFAULT_MODEL": "global",
                "FL_OPERATOR_2FA": "off",
                "API_HMAC_KEY": "your-secure-key-here",
            },
            ["flxdr.E011", "flxdr.W013", "privacy.W002", "security.W004"],
        ),
        ({"FL_ENV": "development"}, ["flxdr.W010", "security.W004", "security.W008", "security.W012", "security.W016"]),
    ],
)
def test_the_rest_is_named(tmp_path: Path, changes: dict[str, str], expected: list[str]) -> None:
    ended = check(tmp_path, **changes)
    assert sorted(named(ended)) == expected
    assert (ended.returncode == 0) is (not expected)


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    from_files: dict[str, str] = {}
    for name in ("SECRET_KEY", "API_HMAC_KEY", "PQC_SK_B64"):
        file = tmp_path / name
        file.write_text(f"{production_environment()[name]}\n")
        from_files |= {name: "", f"{name}_FILE": str(file)}
    ended = check(tmp_path, PQC_PK_B64="", **from_files)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_answers_without_tls_is_only_the_probes() -> None:
    paths = ["healthz", "readyz", "metrics", "healthz/x", "api/healthz", "metrics.json", "admin/login/", ""]
    exempt = [path for path in paths if any(re.search(pattern, path) for pattern in SECURE_REDIRECT_EXEMPT)]
    assert [f"/{path}" for path in exempt] == list(PROBES)

"""Every documented operation, with documented and broken input, from everybody: documented answers, never a 5xx."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
import requests
import schemathesis.openapi
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flxdr.platform.auth.tokens import OPERATOR, ORGANIZATION
from tests.api.callers import ELSEWHERE, THIS_MACHINE, issued
from tests.api.rounds import open_round, run_due_work, submit
from tests.faults import sampling

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))
"""Of each kind, for every operation and caller."""
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CALLERS: dict[str, tuple[dict[str, str], Callable[[], str | None]]] = {
    "stranger": (ELSEWHERE, lambda: None),
    "broken token": (ELSEWHERE, lambda: "eyJhbGciOiJub25lIn0.e30."),
    "participant": (ELSEWHERE, lambda: issued("org-alpha", ORGANIZATION)),
    "operator": (ELSEWHERE, lambda: issued("olivia", OPERATOR)),
    "own user": (THIS_MACHINE, lambda: None),
}


@pytest.fixture
def known() -> dict[str, Any]:
    """What stands in paths, of a federation with a finished round and an open one."""
    finished = open_round("org-alpha", "org-beta")
    for org_id in ("org-alpha", "org-beta"):
        assert submit(finished, org_id).status_code == 201
    run_due_work()
    return {
        "round_id": open_round("org-gamma"),
        "org_id": "org-beta",
        "height": 0,
        "proposal_id": 1,
        "model_hash": "0" * 64,
    }


def strategy(operation: Any, known: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Documented input, the same on things that exist, and input that is broken on purpose."""
    names = {parameter.name for parameter in operation.path_parameters}
    existing = {name: value for name, value in known.items() if name in names}
    return st.one_of(
        operation.as_strategy(GenerationMode.POSITIVE),
        operation.as_strategy(GenerationMode.POSITIVE, path_parameters=existing or None),
        operation.as_strategy(GenerationMode.NEGATIVE),
    )


def send(case: Any, environ: dict[str, str], bearer: str | None) -> httpx.Response:
    """Send a case through Django's client, which leaves the test's transaction open."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
    address = urlsplit(prepared.url or "")
    named = {
        f"HTTP_{name.upper().replace('-', '_')}": value if isinstance(value, str) else value.decode("latin-1")
        for name, value in prepared.headers.items()
        if name not in ("Content-Type", "Content-Length")
    }
    token = {"HTTP_AUTHORIZATION": f"Bearer {bearer}"} if bearer else {}
    client: Any = Client(raise_request_exception=False)
    answer = client.generic(
        case.method,
        unquote(address.path),
        body,
        prepared.headers.get("Content-Type", ""),
        QUERY_STRING=address.query,
        **(named | environ | token),
    )
    request = httpx.Request(case.method, f"http://localhost{address.path}")
    content = b"".join(answer)
    response = httpx.Response(answer.status_code, headers=dict(answer.items()), content=content, request=request)
    response.elapsed = timedelta(0)
    return response


@pytest.mark.parametrize("caller", CALLERS if sampling.ALL else ["participant"])
def test_documented_answers_only(schema: dict[str, Any], known: dict[str, Any], caller: str) -> None:
    environ, token = CALLERS[caller]
    bearer = token()
    api: Any = schemathesis.openapi.from_dict(schema)
    found = []
    operations = [result.ok() for result in api.get_all_operations()]
    assert len(operations) == sum(len(methods) for methods in schema["paths"].values())
    for operation in operations:

        @settings(
            max_examples=3 * EXAMPLES,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy(operation, known))
        def check(case: Any) -> None:
            if isinstance(case.query, dict) and "wait" in case.query:
                case.query["wait"] = 0
            case.validate_response(send(case, environ, bearer), checks=CHECKS)

        try:
            check()
        except (Failure, FailureGroup, BaseExceptionGroup) as error:
            found.append(f"{operation.label}: {error}\n{getattr(error, 'exceptions', '')}")
    assert not found, "\n\n".join(found)

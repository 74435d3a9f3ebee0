"""The published schema: no warnings, every route, and what the endpoints answer is what it says."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.urls import get_resolver

from tests.api.callers import PREFIX, operator, organization, own_user
from tests.api.rounds import open_round, register, run_due_work, submit, update

pytestmark = pytest.mark.django_db


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if path.startswith(f"/{PREFIX.strip('/')}/federation")
    ]


def test_every_route_is_described(schema: dict[str, Any]) -> None:
    two_methods = {"masking-shares", "masking-consistency", "masking-openings", "detections"}
    assert len(operations(schema)) == len(get_resolver("federation.api.urls").url_patterns) + len(two_methods)


def test_every_operation_documents_its_errors(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        codes = set(operation["responses"])
        assert {"400", "401", "403"} <= codes, path
        assert method != "post" or {"409", "413", "415", "422"} <= codes, path
        assert "{" not in path or "404" in codes, path
        assert operation["summary"], path


def test_every_contract_operation_has_an_example(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        if path.removeprefix(PREFIX).startswith(("federation/campaign", "federation/organizations/")):
            continue
        text = repr(operation["responses"])
        if method == "post":
            assert "examples" in repr(operation["requestBody"]), path
            assert "examples" in text, path


def resolved(schema: dict[str, Any], path: str, method: str, code: int) -> dict[str, Any]:
    content = schema["paths"][PREFIX + path][method]["responses"][str(code)]["content"]
    return {**content["application/json"]["schema"], "components": schema["components"]}


def test_answers_are_what_the_schema_says(schema: dict[str, Any]) -> None:
    round_id = open_round("org-alpha", "org-beta")
    alpha = organization("org-alpha")
    answers: list[tuple[str, str, Any]] = [
        ("federation/register", "post", register("org-gamma")),
        ("federation/round/current", "get", alpha.get("federation/round/current")),
        ("federation/status", "get", alpha.get("federation/status")),
        ("federation/round/submit-gradient", "post", submit(round_id, "org-alpha")),
        ("federation/round/{round_id}/submission", "get", alpha.get(f"federation/round/{round_id}/submission")),
        ("federation/round/submit-gradient", "post", submit(round_id, "org-beta")),
        ("federation/round/{round_id}/status", "get", alpha.get(f"federation/round/{round_id}/status")),
    ]
    run_due_work()
    started = own_user().post("federation/round/start", {})
    answers += [
        ("federation/round/start", "post", started),
        ("federation/round/submit-gradient", "post", submit(started.json()["round_id"], "org-alpha")),
        ("federation/organizations", "get", alpha.get("federation/organizations")),
        ("federation/rounds", "get", alpha.get("federation/rounds")),
        ("federation/models", "get", alpha.get("federation/models")),
        ("federation/models/registry", "get", alpha.get("federation/models/registry")),
        ("federation/status", "get", alpha.get("federation/status")),
        ("federation/round/current", "get", alpha.get("federation/round/current")),
        ("federation/round/{round_id}/status", "get", alpha.get(f"federation/round/{round_id}/status")),
        ("federation/round/{round_id}/submission", "get", alpha.get(f"federation/round/{round_id}/submission")),
        ("federation/round/{round_id}/participants", "get", alpha.get(f"federation/round/{round_id}/participants")),
        (
            "federation/campaign/start",
            "post",
            operator().post("federation/campaign/start", {"model": "edge-normaliser", "rounds": 1}),
        ),
        *(
            (
                "federation/organizations/{org_id}/suspend",
                "post",
                caller.post("federation/organizations/org-gamma/suspend"),
            )
            for caller in (operator(), own_user())
        ),
    ]
    for path, method, response in answers:
        assert response.status_code in {200, 201, 202}, (path, response.content)
        conforms(schema, path, method, response)


def conforms(schema: dict[str, Any], path: str, method: str, response: Any) -> None:
    """Check an answer against the schema: it has every documented field, of its type, and no other."""
    form = resolved(schema, path, method, response.status_code)
    jsonschema.validate(response.json(), form)
    documented = set(form["components"]["schemas"][form["$ref"].rsplit("/", 1)[1]]["properties"])
    assert set(response.json()) == documented, path


@pytest.mark.parametrize("changes", [{}, {"kind": "delta"}, {"privacy": {"mechanism": "none"}}])
def test_the_documented_body_of_an_update_is_accepted(schema: dict[str, Any], changes: dict[str, Any]) -> None:
    round_id = open_round("org-alpha", "org-beta")
    body = update(round_id, "org-alpha") | changes
    content = schema["paths"][f"{PREFIX}federation/round/submit-gradient"]["post"]["requestBody"]["content"]
    assert set(content) == {
        "application/json",
        "application/vnd.safetensors",
        "application/octet-stream",
        "application/vnd.flxdr.masked-update",
    }
    jsonschema.validate(body, {**content["application/json"]["schema"], "components": schema["components"]})
    assert organization("org-alpha").post("federation/round/submit-gradient", body).status_code == 201

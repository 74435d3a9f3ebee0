"""What callers are told while the bucket of the files does not answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from federation.models import ModelVersion, Submission
from flxdr.env import Env
from tests.api.callers import organization
from tests.api.rounds import open_round, run_due_work, stored, submit
from tests.support.object_store import Line, ObjectServer

pytestmark = pytest.mark.django_db


def test_a_submission_is_asked_for_again_and_taken_then(line: Line, bucket: ObjectServer) -> None:
    round_id = open_round("org-alpha", "org-beta", model="global")
    rows, objects = stored(), bucket.objects()
    line.cut = True
    response = submit(round_id, "org-alpha")
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert (response.json()["code"], response["Retry-After"]) == ("storage_unavailable", "5")
    assert bucket.url not in response.content.decode()
    assert (stored(), bucket.objects()) == (rows, objects)
    line.cut = False
    assert submit(round_id, "org-alpha").status_code in (200, 201)
    assert Submission.objects.count() == 1


def test_a_model_is_downloaded_from_a_machine_that_did_not_make_it(
    line: Line, env: Callable[..., Env], tmp_path: Path
) -> None:
    round_id = open_round("org-alpha", "org-beta", model="global")
    for org_id in ("org-alpha", "org-beta"):
        assert submit(round_id, org_id).status_code in (200, 201)
    run_due_work()
    caller = organization("org-alpha")
    address = f"federation/model/{ModelVersion.objects.get(version=0).model_hash}"
    here = caller.get(address)
    assert here.status_code == 200, here.content
    whole = b"".join(here.streaming_content)

    env(data_dir=tmp_path / "another-machine")
    line.cut = True
    assert caller.get(address).json()["code"] == "storage_unavailable"
    line.cut = False
    part = caller.get(address, HTTP_RANGE="bytes=8-15")
    assert (part.status_code, b"".join(part.streaming_content)) == (206, whole[8:16])
    line.cut = True  # the copy serves from here on
    assert b"".join(caller.get(address).streaming_content) == whole

"""Models: what there is, how versions came about, how two differ, and the file itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from federation.models import ModelVersion, TrainingRound
from federation.selectors.catalogue import parts_of
from flxdr.core.clock import ManualClock
from models_ml import codec
from models_ml.registry import EDGE_CLASSIFIER, MODELS
from tests.conftest import SentTasks
from tests.support.showcase import SHOWN, Showcase

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Client:
    """Staff that may look at models, and at nothing else."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_modelversion"))
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


@pytest.fixture
def showcase(sent_tasks: SentTasks, env: Callable[..., Any]) -> Showcase:
    env(**SHOWN)
    return Showcase().build()


def text_of(client: Client, path: str, query: dict[str, str] | None = None) -> str:
    response = client.get(path, query or {})
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize(
    "path", ["/models/", "/models/tgnn/", "/models/tgnn/1/", "/models/-/compare/", f"/models/-/files/{'0' * 64}"]
)
def test_staff_without_the_permission_is_refused_and_others_sign_in(path: str, client: Client) -> None:
    assert client.get(path, headers={"host": "localhost"}).status_code == 302
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get(path, headers={"host": "localhost"}).status_code == 403


def test_before_any_round_every_model_of_the_registry_is_there_without_a_release(viewer: Client) -> None:
    page = text_of(viewer, "/models/")
    for name, spec in MODELS.items():
        assert f'<a href="/models/{name}/">{name}</a>' in page
        assert escape(spec.description) in page
    assert page.count("no release yet") == len(MODELS)
    assert "released</span>" not in page
    assert "No version matches" in page
    assert "Nothing was reported" in text_of(viewer, f"/models/{EDGE_CLASSIFIER}/")


@pytest.mark.parametrize(
    "path",
    [
        "/models/nothing/",
        "/models/%00/",
        "/models/%3Cb%3E/",
        "/models/tgnn/1/",
        "/models/tgnn/99999999999999999999999/",
        "/models/%00/1/",
        f"/models/-/files/{'0' * 64}",
        "/models/-/files/%00",
        f"/models/-/files/{'A' * 64}",
    ],
)
def test_what_is_not_there_is_not_found(viewer: Client, path: str) -> None:
    assert viewer.get(path).status_code == 404


@pytest.mark.parametrize("text", ["x", "tgnn:1", "tgnn:", ":", "tgnn:99999999999999999", "\x00", "<b>", "0" * 64])
def test_versions_that_are_not_there_cannot_be_compared(viewer: Client, text: str) -> None:
    page = text_of(viewer, "/models/-/compare/", {"a": text, "b": text})
    assert "<b>" not in page
    assert "There is no version" in page or "Name two versions" in page


def test_garbage_in_a_filter_lists_nothing(viewer: Client) -> None:
    query = {"model": "\x00<b>", "status": "perfect", "page": "9" * 30}
    page = text_of(viewer, "/models/", query)
    assert "No version matches" in page
    assert "<b>" not in page


def test_every_state_of_a_version_is_told(viewer: Client, showcase: Showcase) -> None:
    page = text_of(viewer, "/models/")
    for word in ("released", "withdrawn", "refused", "starting point"):
        assert f"{word}</span>" in page
    refused = ModelVersion.objects.get(status="refused")
    only_refused = text_of(viewer, "/models/", {"status": "refused"})
    assert refused.model_hash in only_refused
    assert "1 to 1 of 1" in only_refused

    name = text_of(viewer, f"/models/{EDGE_CLASSIFIER}/")
    assert "released: v7" in name
    assert "macro_binary_f1" in name
    assert "recall.scan" not in name
    assert ">Scan</th>" in name  # figures by family

    withdrawn = text_of(viewer, f"/models/{EDGE_CLASSIFIER}/6/")
    assert "Withdrawn with every version from v6 on" in withdrawn
    assert "false positives on backup traffic at three members" in withdrawn

    released = text_of(viewer, f"/models/{EDGE_CLASSIFIER}/7/")
    version = ModelVersion.objects.get(model_name=EDGE_CLASSIFIER, version=7)
    assert "Withdrawn with" not in released
    assert version.model_hash in released
    assert "hidden1.weight" in released
    assert re.search(r"\d\d\.\d %", released)  # shares of the weight
    assert "clipping norms" in released

    initial = text_of(viewer, f"/models/{EDGE_CLASSIFIER}/0/")
    assert "trained by nobody" in initial
    assert "Nobody voted on it" in initial


def test_a_refused_candidate_is_shown_beside_the_release_that_took_its_number(
    viewer: Client, showcase: Showcase
) -> None:
    refused = ModelVersion.objects.get(status="refused")
    path = f"/models/{refused.model_name}/{refused.version}/"
    page = text_of(viewer, path)
    assert "What else carried this number?" in page
    assert f"?candidate={refused.pk}" in page
    assert "never released" not in page
    page = text_of(viewer, path, {"candidate": str(refused.pk)})
    assert "This candidate was never released" in page
    assert "no block vouches for it" in page
    assert "macro-F1 0.41 on our own records" in page


def test_shares_are_of_the_weight_of_those_that_counted(showcase: Showcase) -> None:
    training_round = showcase.rounds["left out"]
    parts = parts_of(training_round)
    counted = [part for part in parts if part.share is not None]
    assert sum(part.share for part in counted if part.share is not None) == pytest.approx(1)
    assert [part.org_id for part in parts if part.status == "left_out"] == [
        part.org_id for part in parts if part.share is None and part.samples
    ]
    assert any(part.status == "left_out" for part in parts)
    samples = sum(part.samples or 0 for part in counted)
    if showcase.rounds["left out"].protection == "plain":
        for part in counted:
            assert part.share == pytest.approx((part.samples or 0) / samples)


def test_two_versions_differ_by_the_norms_of_their_tensors(viewer: Client, showcase: Showcase) -> None:
    page = text_of(viewer, "/models/-/compare/", {"a": f"{EDGE_CLASSIFIER}:4", "b": f"{EDGE_CLASSIFIER}:5"})
    moved = TrainingRound.objects.get(result__model_name=EDGE_CLASSIFIER, result__version=5).convergence_metric
    assert moved is not None
    assert f"{moved:.6f}" in page  # version 5 was trained from version 4: their distance is its update's norm
    assert "aggregation_method" in page
    assert "RobustAggregator" in page
    assert "macro_binary_f1" in page
    by_hash = ModelVersion.objects.get(model_name=EDGE_CLASSIFIER, version=5).model_hash
    same = text_of(viewer, "/models/-/compare/", {"a": by_hash, "b": by_hash})
    assert "0.000000" in same
    others = text_of(viewer, "/models/-/compare/", {"a": f"{EDGE_CLASSIFIER}:0", "b": "tgnn:1"})
    assert "their tensors are not the same" in others
    assert "One of them was made by no round." in others


def test_the_file_is_downloaded_once_and_hashes_to_its_name(viewer: Client, showcase: Showcase) -> None:
    version = ModelVersion.objects.get(model_name=EDGE_CLASSIFIER, version=7)
    path = f"/models/-/files/{version.model_hash}"
    assert path in text_of(viewer, f"/models/{EDGE_CLASSIFIER}/7/")
    answer = viewer.get(path)
    data = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert codec.model_hash(data) == version.model_hash
    assert hashlib.sha256(data).hexdigest() == version.blob_digest
    assert answer["Content-Disposition"].startswith(f'attachment; filename="{EDGE_CLASSIFIER}-v7-')
    assert (answer["Model-Standing"], answer["Content-Type"]) == ("released", "application/vnd.safetensors")
    assert viewer.get(path, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    part = viewer.get(path, headers={"Range": "bytes=0-7"})
    assert (part.status_code, part["Content-Length"]) == (206, "8")
    assert b"".join(part.streaming_content) == data[:8]  # type: ignore[attr-defined]
    assert viewer.post(path).status_code == 405


@pytest.mark.parametrize("versions", [3, 60])
def test_queries_do_not_grow_with_versions(
    viewer: Client,
    clock: ManualClock,
    versions: int,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(versions):
        training_round = TrainingRound.objects.create(
            round_id=f"round-{number}",
            number=number + 1,
            model_name="global",
            status="completed",
            min_orgs=1,
            deadline=clock.now(),
            metrics={"accuracy": 0.5},
            config=b"{}",
        )
        ModelVersion.objects.create(
            model_name="global",
            version=number + 1,
            model_hash=f"{number:064}",
            blob_digest=f"{number:064}",
            schema=[],
            status="released",
            block_height=number + 1,
            training_round=training_round,
        )
    for path in ("/models/", "/models/global/"):
        with django_assert_max_num_queries(14):
            assert viewer.get(path).status_code == 200

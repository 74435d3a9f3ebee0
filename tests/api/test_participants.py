"""Anomaly scores, reasons and reputation: all of a round's for operators, its own for an organisation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.callers import operator, organization, own_user, refuse_with, stranger
from tests.api.rounds import open_round, register, run_due_work, submit

pytestmark = pytest.mark.django_db
NAMES = ("org-a", "org-b", "org-c", "org-d", "org-e")
KRUM = {"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "krum", "byzantine": 1}}
MEASURED = ("cosine", "distance", "anomaly_score", "left_out_reason")


def submit_all(round_id: str) -> None:
    """Four alike, and org-e far away in the other direction."""
    for index, name in enumerate(NAMES):
        value = -5.0 if name == "org-e" else 0.1 + index / 1000
        assert submit(round_id, name, model_weights=[[value, value], [value, value]]).status_code == 201


@pytest.fixture
def krum_round() -> str:
    round_id = open_round(*NAMES, **KRUM)
    submit_all(round_id)
    run_due_work()
    return round_id


def address(round_id: str) -> str:
    return f"federation/round/{round_id}/participants"


def row_of(answer: Any, org_id: str) -> dict[str, Any]:
    (row,) = [row for row in answer.json()["participants"] if row["org_id"] == org_id]
    return dict(row)


@pytest.mark.parametrize("caller", [operator, own_user])
def test_operators_see_everybody(krum_round: str, caller: Any) -> None:
    answer = caller().get(address(krum_round))
    document = answer.json()
    assert [row["org_id"] for row in document["participants"]] == list(NAMES)
    assert (document["round_id"], document["total"]) == (krum_round, 5)
    left_out = [row for row in document["participants"] if row["status"] == "left_out"]
    assert len(left_out) == 4
    assert all(row["left_out_reason"] for row in left_out)
    outlier = row_of(answer, "org-e")
    assert outlier["status"] == "left_out"
    assert outlier["update_norm"] == pytest.approx(10.0)
    assert outlier["cosine"] == pytest.approx(-1.0)
    assert outlier["anomaly_score"] > 1
    assert all(row["anomaly_score"] < 1 for row in document["participants"] if row["org_id"] != "org-e")
    assert outlier["reputation"] == {"accepted": 0, "left_out": 1, "missed": 0, "rejected": 0}


def test_the_list_comes_in_pages(krum_round: str) -> None:
    document = operator().get(address(krum_round), {"limit": 2, "offset": 3}).json()
    assert [row["org_id"] for row in document["participants"]] == ["org-d", "org-e"]
    assert document["total"] == 5


@pytest.mark.parametrize("name", ["org-a", "org-e"])
def test_an_organization_sees_its_own_row_alone(krum_round: str, name: str) -> None:
    document = organization(name).get(address(krum_round)).json()
    assert [row["org_id"] for row in document["participants"]] == [name]
    assert document["total"] == 1
    assert document["participants"] == [row_of(operator().get(address(krum_round)), name)]


def test_others_see_nothing(krum_round: str) -> None:
    register("org-outside")
    refuse_with(organization("org-outside").get(address(krum_round)), 403, "not_a_participant")
    refuse_with(stranger().get(address(krum_round)), 401)


def test_nothing_is_measured_before_the_aggregation() -> None:
    round_id = open_round(*NAMES, **KRUM)
    assert submit(round_id, "org-a").status_code == 201
    answer = operator().get(address(round_id))
    submitted, expected = row_of(answer, "org-a"), row_of(answer, "org-b")
    assert (submitted["status"], expected["status"]) == ("submitted", "expected")
    assert submitted["update_norm"] > 0
    assert expected["update_norm"] is None
    assert all(row[name] is None for row in (submitted, expected) for name in MEASURED)


def test_reputation_counts_over_rounds(krum_round: str) -> None:
    second = own_user().post("federation/round/start", KRUM).json()["round_id"]
    refuse_with(submit(second, "org-e", samples_seen=2**40), 422, "invalid_samples")
    submit_all(second)
    run_due_work()
    outlier = organization("org-e").get(address(second)).json()["participants"][0]
    assert outlier["reputation"] == {"accepted": 0, "left_out": 2, "missed": 0, "rejected": 1}


@pytest.mark.parametrize("path", ["no-such-round", "x" * 65])
def test_an_unknown_round_is_missing(path: str) -> None:
    refuse_with(operator().get(address(path)), 404)


def test_unknown_parameters_are_refused(krum_round: str) -> None:
    refuse_with(operator().get(address(krum_round), {"model": "global"}), 400)

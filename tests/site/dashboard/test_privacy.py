"""Privacy: how long budgets last, what protects what, and other settings beside those of now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import Organization
from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from privacy import selectors, statements
from privacy.models import BudgetEntry
from privacy.services import budget
from tests.privacy.conftest import ALPHA, KnownOrganizations
from tests.support.spending import spend

pytestmark = pytest.mark.django_db
Configure = Callable[..., Any]
INDEX = "/privacy/"
WHAT_IF = "/privacy/what-if/"
ASKED = {
    "privacy_mode": "record",
    "privacy_epsilon": "3",
    "training_rounds": "20",
    "privacy_clipping_norm": "1",
    "privacy_sampling_rate": "0.1",
}


@pytest.fixture
def viewer() -> Client:
    """Staff that may look at the budget, and at nothing else."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_budgetentry"))
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


@pytest.fixture
def record(env: Configure) -> None:
    env(privacy_mode="record", privacy_epsilon=3.0, training_rounds=20)


def text_of(client: Client, path: str, query: dict[str, str] | None = None) -> str:
    response = client.get(path, query or {})
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize("path", [INDEX, f"{INDEX}?org=org-000", WHAT_IF])
def test_staff_without_the_permission_is_refused_and_others_sign_in(path: str, client: Client) -> None:
    assert client.get(path, headers={"host": "localhost"}).status_code == 302
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get(path, headers={"host": "localhost"}).status_code == 403


def test_without_noise_it_says_that_nothing_is_guaranteed(viewer: Client, clock: ManualClock) -> None:
    budget.settle(round_id="round-1", org_ids=["org-a"], clock=clock)
    page = text_of(viewer, INDEX)
    assert "unprotected: rounds add no noise" in page
    assert "No noise is in force" in page
    assert "no guarantee" in page
    assert selectors.NOTES["none"] in page
    assert 'badge good">in force' in page  # checks of updates and removal of identifiers are
    assert "Nobody adds noise." in page
    assert "rounds left" not in page


@pytest.mark.usefixtures("record")
def test_nothing_spent_is_said_so(viewer: Client) -> None:
    assert "Nothing was spent yet" in text_of(viewer, INDEX)
    assert "No organisation of that name" in text_of(viewer, INDEX, {"q": "nobody"})


@pytest.mark.usefixtures("record")
def test_who_has_spent_most_comes_first_with_the_rounds_that_are_left(viewer: Client, clock: ManualClock) -> None:
    spend(["org-000", "org-001"], rounds=9, clock=clock)
    page = text_of(viewer, INDEX)
    left = selectors.budget("org-000")["rounds_until_budget_exhausted"]
    assert page.index(">org-000</a>") < page.index(">org-001</a>")
    assert f"{left} rounds left" in page
    assert "How did org-000, which has spent most, get there?" in page
    assert 'data-plot="' in page
    assert "Noise multiplier" in page
    assert selectors.NOTES["record"] in page
    found = text_of(viewer, INDEX, {"q": "001"})
    assert ">org-001</a>" in found
    assert ">org-000</a>" not in found


@pytest.mark.parametrize(("epsilon", "said"), [(0.4, 'badge bad">exhausted'), (0.45, 'badge warn">runs out soon')])
def test_a_budget_at_its_end_stands_out(
    viewer: Client, env: Configure, clock: ManualClock, epsilon: float, said: str
) -> None:
    env(privacy_mode="record", privacy_epsilon=epsilon, training_rounds=20)
    spend(["org-000"], rounds=10, clock=clock)
    assert said in text_of(viewer, INDEX)


@pytest.mark.usefixtures("record", "organizations")
def test_an_organization_sees_each_line_of_its_budget(viewer: Client, clock: ManualClock) -> None:
    mechanism = selectors.planned_mechanism(selectors.training_plan())
    assert mechanism is not None
    for number in range(3):
        budget.reserve(org_ids=["org-alpha"], round_id=f"round-{number}", mechanism=mechanism.as_mapping(), clock=clock)
    budget.settle(round_id="round-0", org_ids=["org-alpha"], clock=clock)
    budget.settle(round_id="round-9", org_ids=["org-alpha"], clock=clock)
    statement = statements.no_noise(round_id="round-2", org_id="org-alpha")
    signature = dsse.sign(ALPHA, dsse.NO_NOISE_TYPE, statement)
    key_id = ALPHA.public.key_id
    budget.release(
        round_id="round-2", org_id="org-alpha", statement=statement, key_id=key_id, signature=signature, clock=clock
    )
    page = text_of(viewer, INDEX, {"org": "org-alpha"})
    for kind in ("reserved", "spent", "given back", "unprotected"):
        assert f"{kind}</span>" in page
    assert key_id in page
    assert "/rounds/round-2/" in page
    assert "1 to 6 of 6" in page


def test_names_that_nobody_has_are_not_found_and_uncharged_ones_are_empty(viewer: Client) -> None:
    for name in ("nobody", "x" * 500, "<script>", "a\x00b"):
        assert viewer.get(INDEX, {"org": name}).status_code == 404
    Organization.objects.create(org_id="new-one", name="New")
    assert "Nothing was charged" in text_of(viewer, INDEX, {"org": "new-one"})


@pytest.mark.parametrize("page", ["abc", "-1", "99999999", "9" * 40, "\x00"])
def test_garbage_in_the_address_is_no_error(viewer: Client, page: str) -> None:
    assert viewer.get(INDEX, {"page": page, "q": "\x00<b>"}).status_code == 200
    assert "<b>" not in viewer.get(INDEX, {"q": "<b>"}).content.decode()


@pytest.mark.usefixtures("record")
def test_other_settings_stand_beside_those_of_now(viewer: Client, clock: ManualClock) -> None:
    spend(["org-000"], rounds=3, clock=clock)
    before = list(BudgetEntry.objects.values_list("pk", flat=True))
    now = selectors.planned_mechanism(selectors.training_plan()).as_mapping()["noise_multiplier_ppm"] / 1e6  # type: ignore[union-attr]
    assert f"{now:.4f}" in text_of(viewer, WHAT_IF)
    page = text_of(viewer, WHAT_IF, ASKED | {"privacy_epsilon": "6", "privacy_clipping_norm": "0.5"})
    assert "FL_PRIVACY_EPSILON=6" in page
    assert "FL_PRIVACY_CLIPPING_NORM=0.5" in page
    assert "FL_TRAINING_ROUNDS" not in page
    assert f'<td class="number">{now:.4f}</td>' in page
    assert "These are the settings of now." in text_of(viewer, WHAT_IF, ASKED)
    assert list(BudgetEntry.objects.values_list("pk", flat=True)) == before


@pytest.mark.usefixtures("record")
def test_no_noise_is_a_warning_and_an_impossible_goal_says_why(viewer: Client) -> None:
    page = text_of(viewer, WHAT_IF, ASKED | {"privacy_mode": "none"})
    assert "every figure of a guarantee is gone" in page
    assert "unlimited, without a guarantee" in page
    page = text_of(viewer, WHAT_IF, ASKED | {"privacy_epsilon": "0.001"})
    assert "No noise does what these settings ask for." in page
    assert "sampling" in page


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("privacy_mode", "perfect"),
        ("privacy_epsilon", "nan"),
        ("privacy_epsilon", "-1"),
        ("training_rounds", "1e9"),
        ("privacy_clipping_norm", "0"),
        ("privacy_sampling_rate", "<b>"),
    ],
)
def test_values_that_the_environment_would_refuse_are_refused_at_their_field(
    viewer: Client, name: str, value: str
) -> None:
    page = text_of(viewer, WHAT_IF, ASKED | {name: value})
    assert "errorlist" in page
    assert "<b>" not in page
    assert 'value="20"' in page or name == "training_rounds"  # what else was typed stays


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("organizations", [2, 30])
def test_queries_do_not_grow(
    viewer: Client, clock: ManualClock, organizations: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    spend([f"org-{number:03}" for number in range(organizations)], rounds=5, clock=clock)
    with django_assert_max_num_queries(16):
        viewer.get(INDEX)
    with django_assert_max_num_queries(16):
        viewer.get(WHAT_IF, ASKED)


@pytest.fixture
def organizations(monkeypatch: pytest.MonkeyPatch) -> KnownOrganizations:
    known = KnownOrganizations()
    monkeypatch.setattr("flxdr.platform.auth.directory._Registry.directory", known)
    return known

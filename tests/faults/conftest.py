"""A federation to break on each pair of database and queue; which faults are tried, and what they showed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PAIRS
from tests.faults import report, sampling
from tests.faults.report import Note
from tests.faults.stand import Stand, standing
from tests.support.services import postgres_database, redis_database

HERE = Path(__file__).parent


@pytest.fixture(scope="session", params=PAIRS)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with a_stand(request.param, tmp_path_factory.mktemp("faults")) as standing_up:
        yield standing_up


@contextlib.contextmanager
def a_stand(pair: str, folder: Path, **environment: str) -> Iterator[Stand]:
    """A federation on a pair of database and queue of its own."""
    with contextlib.ExitStack() as stack:
        if pair == "postgresql-redis":
            environment["DATABASE_URL"] = stack.enter_context(postgres_database(folder / "services"))
            environment["REDIS_URL"] = stack.enter_context(redis_database(folder / "services"))
        yield stack.enter_context(standing(folder, environment))


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Keep figures of this test for the report."""

    def keep(**figures: float) -> None:
        for name, value in figures.items():
            record_property(name, value)

    return keep


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this run does not try."""
    if sampling.ALL:
        return
    faults = [item for item in items if HERE in item.path.parents]
    if config.option.keyword or any(str(HERE) in str(Path(named).resolve()) for named in config.args):
        return  # somebody asked for these
    left_out = set(faults) - set(sampling.chosen(faults))
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if sampling.ALL:
        root = HERE.parents[1]
        report.write(
            terminalreporter.stats,
            root / "docs" / "reliability.md",
            root / "var" / "faults.json",
            seed=sampling.SEED,
        )

"""Log lines carry what they belong to, and go to where the operator looks."""

from __future__ import annotations

import json
import logging
import logging.config
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from django.conf import settings
from django.test import Client, RequestFactory

from flxdr.celery import forget_the_task, name_the_task
from flxdr.platform.logging import log_to_stdout, logging_configuration


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """A log of this test's own; the session's configuration comes back after it."""
    root = logging.getLogger()
    of_pytest = [handler for handler in root.handlers if type(handler).__module__.startswith("_pytest.")]
    yield tmp_path / "backend.log"
    # Made anew: this test's configuration closed the session's handlers, and one that writes again is never closed.
    logging.config.dictConfig(settings.LOGGING)
    for handler in of_pytest:
        root.addHandler(handler)


def configure(log_file: Path, level: str = "INFO") -> None:
    logging.config.dictConfig(logging_configuration(level=level, file=log_file))


def lines(log_file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log_file.read_text().splitlines()]


def test_lines_carry_their_context(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_file)
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger("flxdr.test").info("round started", round_id="round-1")
    logging.getLogger("django.test").warning("by the standard library %s", "too")
    ours, theirs = lines(log_file)
    assert ours["event"] == "round started"
    assert (ours["round_id"], ours["request_id"], ours["level"]) == ("round-1", "r1", "info")
    assert ours["logger"] == "flxdr.test"
    assert (theirs["event"], theirs["request_id"]) == ("by the standard library too", "r1")
    captured = capsys.readouterr()
    assert "round_id=round-1" in captured.err
    assert captured.out == ""


def test_a_tasks_lines_name_it_and_its_round_and_the_next_ones_do_not(log_file: Path) -> None:
    configure(log_file)
    log = structlog.get_logger("flxdr.test")
    name_the_task(task_id="t1", kwargs={"round_id": "round-1"})
    log.info("of the round")
    name_the_task(task_id="t2", kwargs={"shard_id": 7})
    log.info("of another task")
    forget_the_task()
    log.info("of none")
    context = [{key: line.get(key) for key in ("task_id", "round_id")} for line in lines(log_file)]
    assert context == [
        {"task_id": "t1", "round_id": "round-1"},
        {"task_id": "t2", "round_id": None},
        {"task_id": None, "round_id": None},
    ]


@pytest.mark.django_db
def test_a_requests_lines_name_it_and_its_round(log_file: Path) -> None:
    configure(log_file)
    answer = Client(headers={"host": "localhost"}, REMOTE_ADDR="127.0.0.1").get(
        "/api/fl-blockchain/federation/round/round-7/status"
    )
    (line,) = [line for line in lines(log_file) if line["logger"] == "django.request"]
    assert (line["round_id"], line["request_id"]) == ("round-7", answer["X-Request-Id"])


def test_exceptions_are_written_with_their_trace(log_file: Path) -> None:
    configure(log_file)
    try:
        raise ZeroDivisionError("boom")
    except ZeroDivisionError as error:
        structlog.get_logger("flxdr.test").error("failed", exc_info=error)
    (line,) = lines(log_file)
    assert "ZeroDivisionError: boom" in str(line["exception"])


@pytest.mark.parametrize(("level", "written"), [("DEBUG", ["debug", "info", "error"]), ("ERROR", ["error"])])
def test_levels(log_file: Path, level: str, written: list[str]) -> None:
    configure(log_file, level)
    log = structlog.get_logger("flxdr.test")
    log.debug("x")
    log.info("x")
    log.error("x")
    assert [line["level"] for line in lines(log_file)] == written


def test_the_part_of_a_path_that_is_a_secret_is_hidden(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logging_configuration(level="INFO", file=log_file, secret_paths=("/sign-in/", "/reset/")))
    request = RequestFactory().get("/member/sign-in/WyJvcmci:seal/?next=/")
    log = logging.getLogger("django.request")
    log.warning("Method Not Allowed (PUT): %s", request.path, extra={"request": request})
    log.warning('"GET /reset/s3same HTTP/1.1" 200', extra={"seen": ["/reset/s3same"]})
    for written in (log_file.read_text(), capsys.readouterr().err):
        assert "WyJvcmci" not in written
        assert "s3same" not in written
        assert written.count("/sign-in/[hidden]") == 2
        assert written.count("/reset/[hidden]") == 2
    assert lines(log_file)[0]["event"] == "Method Not Allowed (PUT): /member/sign-in/[hidden]/"


def test_a_rotation_may_move_the_file_at_any_time(log_file: Path) -> None:
    configure(log_file)
    log = structlog.get_logger("flxdr.test")
    log.info("before")
    log_file.rename(log_file.with_suffix(".1"))
    log.info("after")
    assert [line["event"] for line in lines(log_file)] == ["after"]
    assert [line["event"] for line in lines(log_file.with_suffix(".1"))] == ["before"]


def test_services_log_to_standard_output(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_file)
    log_to_stdout()
    structlog.get_logger("flxdr.test").info("ready")
    captured = capsys.readouterr()
    assert "event=ready" in captured.out
    assert captured.err == ""

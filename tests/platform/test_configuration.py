"""Parsers read what they say they read; a mistake names the variable, the value and what is allowed."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.platform import configuration as c


@dataclass(frozen=True)
class Example:
    rate: float = c.variable("X_RATE", c.real(above=0, at_most=1), "0.5", "a rate", group="g")
    key: str | None = c.variable("X_KEY", c.matching("[a-z]+", "letters"), "", "a key", group="g", secret=True)
    mode: str = c.variable("X_MODE", c.choice("a", "b"), {"one": "a", "two": "b"}, "a mode", group="g")


def read(mode: str = "one", **environ: str) -> Example:
    return c.read(Example, environ, mode=mode)


@pytest.mark.parametrize(
    ("parser", "text", "value"),
    [
        (c.boolean(), "True", True),
        (c.boolean(), "0", False),
        (c.integer(1, 9), "9", 9),
        (c.real(above=0), "1e-5", 1e-5),
        (c.real(above=0), ".5", 0.5),
        (c.fraction(), "2/3", Fraction(2, 3)),
        (c.fraction(), "1/2", Fraction(1, 2)),
        (c.choice("FedAvg", "FedProx"), "FedProx", "FedProx"),
        (c.path(), "/srv/x", Path("/srv/x")),
        (c.url("https"), "https://mq.example.org/t", "https://mq.example.org/t"),
        (c.words("[a-z:/]+", ""), "['http://a','http://b']", ("http://a", "http://b")),
        (c.words("[a-z]+", ""), "a, b", ("a", "b")),
        (c.base64_bytes(3), "AAEC", b"\0\1\2"),
    ],
)
def test_parser_reads(parser: c.Parser, text: str, value: Any) -> None:
    assert parser.read(text) == value


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        (c.boolean(), "maybe"),
        (c.integer(1), "0"),
        (c.integer(1), "1.0"),
        (c.integer(1), "1_000"),
        (c.integer(1), "\u0661"),
        (c.integer(1, 9), "10"),
        (c.real(above=0), "0"),
        (c.real(above=0), "nan"),
        (c.real(above=0), "inf"),
        (c.real(above=0), "1e999"),
        (c.real(below=1), "1"),
        (c.real(at_least=0), "-0.1"),
        (c.real(at_most=1), "1.01"),
        (c.fraction(), "3/3"),
        (c.fraction(), "1/3"),
        (c.fraction(), "2/0"),
        (c.fraction(), "0.66"),
        (c.choice("FedAvg"), "fedavg"),
        (c.url("https"), "http://mq.example.org"),
        (c.url("https"), "https://"),
        (c.url("https"), "https://host:port/"),
        (c.words("[a-z]+", ""), "['a'"),
        (c.words("[a-z]+", ""), "[1, 2]"),
        (c.words("[a-z]+", ""), "[__import__('os')]"),
        (c.words("[a-z]+", ""), ","),
        (c.words("[a-z]+", ""), "a,B"),
        (c.base64_bytes(3), "AAE"),
        (c.base64_bytes(3), "AA-_"),
        (c.base64_bytes(4), "AAEC"),
    ],
)
def test_parser_refuses(parser: c.Parser, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a parser tells nothing but that it refuses
        parser.read(text)


@given(st.floats(min_value=1e-12, max_value=1, exclude_min=True))
def test_every_number_within_bounds_is_read_exactly(number: float) -> None:
    assert c.real(above=0, at_most=1).read(repr(number)) == number


def test_defaults_stand_for_unset_and_empty_variables() -> None:
    assert read() == read(X_RATE="", X_KEY=" ") == Example(0.5, None, "a")
    assert read(mode="two").mode == "b"


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(c.InvalidEnvironment) as refusal:
        read(X_RATE="7", X_MODE="c")
    assert [problem.variable for problem in refusal.value.problems] == ["X_RATE", "X_MODE"]
    assert "X_RATE: '7' is not allowed. Allowed: a number above 0 and of at most 1." in str(refusal.value)
    assert "(flxdr.E001) X_MODE: 'c' is not allowed. Allowed: a | b" in str(refusal.value)


def test_secrets_stay_out_of_messages_and_representations() -> None:
    with pytest.raises(c.InvalidEnvironment) as refusal:
        read(X_KEY="HUSH-1")
    assert "X_KEY" in str(refusal.value)
    assert "HUSH" not in str(refusal.value)
    assert "hush" not in repr(read(X_KEY="hush"))


def test_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n")
    assert read(X_KEY_FILE=str(tmp_path / "key")).key == "hush"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"X_KEY": "a", "X_KEY_FILE": "/dev/null"}, "both set"),
        ({"X_KEY_FILE": "/nowhere/key"}, "cannot be read"),
        ({"X_KEY_FILE": "/dev/null"}, "is empty"),
    ],
)
def test_unusable_secret_files(environ: dict[str, str], says: str) -> None:
    with pytest.raises(c.InvalidEnvironment, match=says) as refusal:
        read(**environ)
    assert refusal.value.problems[0].id == "flxdr.E002"

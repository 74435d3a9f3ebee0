"""Typed configuration from environment variables.

A configuration is a frozen dataclass whose fields are made by `variable`: name, parser, default and help stand in one
place, so that reading, refusing and documenting cannot drift apart. Reading is strict and collects every mistake
before it refuses.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flxdr.core.errors import Misconfigured

T = TypeVar("T")
Defaults = str | Mapping[str, str]


@dataclass(frozen=True)
class Parser:
    """Reads a text or raises `ValueError`; `allowed` says to people what it reads."""

    read: Callable[[str], Any]
    allowed: str


@dataclass(frozen=True)
class Variable:
    """One environment variable. `default` may depend on the value of another variable (`by`)."""

    name: str
    parser: Parser
    default: Defaults
    help: str
    group: str
    secret: bool

    def default_for(self, mode: str) -> str:
        return self.default if isinstance(self.default, str) else self.default[mode]


@dataclass(frozen=True)
class Problem:
    """Why a variable cannot be used; `id` is the identifier that the system checks use."""

    id: str
    variable: str
    message: str


class InvalidEnvironment(Misconfigured):
    """Environment variables that cannot be read; names each with its value and what is allowed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"({problem.id}) {problem.message}" for problem in self.problems))


def variable(name: str, parser: Parser, default: Defaults, help: str, *, group: str, secret: bool = False) -> Any:  # noqa: A002
    """Declare a dataclass field that is read from the environment variable `name`.

    Args:
        default: the text that stands for an unset variable, or one such text per `FL_ENV`; empty means None.
        secret: the value never shows in messages, and `NAME_FILE` may name a file that holds it.
    """
    return field(metadata={"variable": Variable(name, parser, default, help, group, secret)}, repr=not secret)


def variables_of(configuration: type[Any]) -> dict[str, Variable]:
    """The declared variables by attribute."""
    return {item.name: item.metadata["variable"] for item in fields(configuration) if "variable" in item.metadata}


def read(configuration: type[T], environ: Mapping[str, str], *, mode: str) -> T:
    """Build `configuration` from `environ`; an empty variable counts as unset.

    Raises:
        InvalidEnvironment: naming every variable that cannot be read.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for attribute, declared in variables_of(configuration).items():
        try:
            text = _text(declared, environ) or declared.default_for(mode)
            values[attribute] = declared.parser.read(text) if text else None
        except _Unreadable as error:
            problems.append(Problem("flxdr.E002", declared.name, str(error)))
        except ValueError:
            shown = "the value (hidden, it is a secret)" if declared.secret else repr(text)
            problems.append(
                Problem(
                    "flxdr.E001",
                    declared.name,
                    f"{declared.name}: {shown} is not allowed. Allowed: {declared.parser.allowed}.",
                )
            )
    if problems:
        raise InvalidEnvironment(problems)
    return configuration(**values)


class _Unreadable(Exception):
    """The file that should hold a secret cannot be used."""


def _text(declared: Variable, environ: Mapping[str, str]) -> str:
    text = environ.get(declared.name, "").strip()
    file_name = environ.get(f"{declared.name}_FILE", "").strip() if declared.secret else ""
    if not file_name:
        return text
    if text:
        raise _Unreadable(f"{declared.name} and {declared.name}_FILE are both set. Allowed: one of them.")
    try:
        content = Path(file_name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _Unreadable(f"{declared.name}_FILE: {file_name!r} cannot be read ({error}).") from error
    if not content:
        raise _Unreadable(f"{declared.name}_FILE: {file_name!r} is empty. Allowed: a file that holds the secret.")
    return content


def text(allowed: str = "any text") -> Parser:
    return Parser(str, allowed)


def matching(pattern: str, allowed: str) -> Parser:
    def read_matching(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(value)
        return value

    return Parser(read_matching, allowed)


def choice(*options: str) -> Parser:
    def read_choice(value: str) -> str:
        if value not in options:
            raise ValueError(value)
        return value

    return Parser(read_choice, " | ".join(options))


def boolean() -> Parser:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

    def read_boolean(value: str) -> bool:
        if value.lower() not in words:
            raise ValueError(value)
        return words[value.lower()]

    return Parser(read_boolean, "true | false (also 1 0 yes no on off)")


def integer(at_least: int, at_most: int | None = None) -> Parser:
    def read_integer(value: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
            raise ValueError(value)
        number = int(value)
        if number < at_least or (at_most is not None and number > at_most):
            raise ValueError(value)
        return number

    return Parser(
        read_integer,
        f"a whole number of at least {at_least}" + ("" if at_most is None else f" and at most {at_most}"),
    )


def real(
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> Parser:
    def read_real(value: str) -> float:
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value, re.ASCII):
            raise ValueError(value)
        number = float(value)
        if (
            not isfinite(number)
            or (above is not None and number <= above)
            or (at_least is not None and number < at_least)
            or (below is not None and number >= below)
            or (at_most is not None and number > at_most)
        ):
            raise ValueError(value)
        return number

    bounds = {"above": above, "of at least": at_least, "below": below, "of at most": at_most}
    return Parser(
        read_real,
        "a number " + " and ".join(f"{word} {limit:g}" for word, limit in bounds.items() if limit is not None),
    )


def fraction() -> Parser:
    def read_fraction(value: str) -> Fraction:
        if not re.fullmatch(r"\d{1,4}/\d{1,4}", value, re.ASCII):
            raise ValueError(value)
        numerator, denominator = map(int, value.split("/"))
        if not denominator <= 2 * numerator < 2 * denominator:
            raise ValueError(value)
        return Fraction(numerator, denominator)

    return Parser(read_fraction, "a fraction of at least 1/2 and below 1, such as 2/3")


def path() -> Parser:
    return Parser(lambda value: Path(value).expanduser().absolute(), "a path")


def url(*schemes: str) -> Parser:
    def read_url(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.netloc or parts.path) or parts.port == 0:
            raise ValueError(value)
        return value

    return Parser(read_url, "a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes))


def address(pattern: str, allowed: str) -> Parser:
    """A URL that matches `pattern` whole, without a port or with one that exists."""

    def read_address(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII) or urlsplit(value).port == 0:
            raise ValueError(value)
        return value

    return Parser(read_address, allowed)


def words(pattern: str, allowed: str) -> Parser:
    """Several texts, separated by commas or written as a quoted list (`['a', 'b']`), each matching `pattern`."""

    def read_words(value: str) -> tuple[str, ...]:
        items = _quoted_list(value) if value.startswith("[") else value.split(",")
        items = [item.strip() for item in items if item.strip()]
        if not items or not all(re.fullmatch(pattern, item, re.ASCII) for item in items):
            raise ValueError(value)
        return tuple(items)

    return Parser(read_words, allowed)


def integers() -> Parser:
    """Named integers, `name=value` separated by commas; each name once."""

    def read_integers(value: str) -> dict[str, int]:
        named: dict[str, int] = {}
        for item in value.split(","):
            found = re.fullmatch(r"\s*([a-z][a-z0-9_]*)\s*=\s*([+-]?\d{1,18})\s*", item, re.ASCII)
            if found is None or found[1] in named:
                raise ValueError(value)
            named[found[1]] = int(found[2])
        return named

    return Parser(read_integers, "`name=integer`, separated by commas, each name once")


def properties(names: str, allowed: str) -> Parser:
    """A text of lines `name=value`, each name once and matching `names`; empty lines and `#` comments are skipped."""

    def read_properties(value: str) -> dict[str, str]:
        named: dict[str, str] = {}
        for line in (line.strip() for line in value.splitlines()):
            if not line or line.startswith("#"):
                continue
            name, equals, content = (part.strip() for part in line.partition("="))
            if not equals or not content or name in named or not re.fullmatch(names, name, re.ASCII):
                raise ValueError(value)
            named[name] = content
        return named

    return Parser(read_properties, allowed)


def _quoted_list(value: str) -> list[str]:
    try:
        items = ast.literal_eval(value)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(value) from error
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(value)
    return items


def base64_bytes(length: int | None = None) -> Parser:
    def read_base64(value: str) -> bytes:
        try:
            data = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError(value) from error
        if length is not None and len(data) != length:
            raise ValueError(value)
        return data

    return Parser(read_base64, "standard base64" + ("" if length is None else f" of {length} bytes"))

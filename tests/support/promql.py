"""PromQL over one scrape: which series an expression asks for, and what it gives now.

No Prometheus runs here. What looks at a moment is evaluated as Prometheus does it; what looks back (`rate`, `increase`,
`delta`) is not, and says so.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import promql_parser as ast
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, "==": operator.eq, ">=": operator.ge, "<=": operator.le, "!=": operator.ne,
}  # fmt: skip
ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {"max": max, "min": min, "sum": sum}


class NotOfAMoment(Exception):
    """The expression looks back, at more than one scrape."""


@dataclass(frozen=True)
class Asked:
    """A series that an expression asks for, by name, and the labels that it selects or groups by."""

    name: str
    labels: frozenset[str]


@dataclass(frozen=True)
class Scrape:
    """The samples of one answer of `/metrics`, by name and labels."""

    samples: Mapping[str, Vector]

    @classmethod
    def of(cls, text: str, **target: str) -> Scrape:
        """Read an answer; `target` are the labels that Prometheus adds."""
        samples: dict[str, Vector] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = frozenset({**sample.labels, **target}.items())
                samples.setdefault(sample.name, {})[labels] = sample.value
        return cls(samples)


def asked(expression: str) -> Iterator[Asked]:
    """Every series that the expression asks for."""
    yield from _asked(ast.parse(expression), frozenset())


def _asked(node: ast.Expr, grouped: frozenset[str]) -> Iterator[Asked]:
    match node:
        case ast.VectorSelector():
            selected = frozenset(matcher.name for matcher in node.matchers.matchers)
            yield Asked(str(node.name), selected | grouped)
        case ast.MatrixSelector():
            yield from _asked(node.vector_selector, grouped)
        case ast.AggregateExpr():
            own = frozenset(node.modifier.labels) if node.modifier else frozenset()
            yield from _asked(node.expr, grouped | own)
        case ast.BinaryExpr():
            yield from _asked(node.lhs, grouped)
            yield from _asked(node.rhs, grouped)
        case ast.ParenExpr() | ast.UnaryExpr():
            yield from _asked(node.expr, grouped)
        case ast.Call():
            for argument in node.args:
                yield from _asked(argument, grouped)


def evaluate(expression: str, scrape: Scrape) -> Vector:
    """The expression's value now; an alert fires for every series of it.

    Raises:
        NotOfAMoment: it looks back.
    """
    found = _evaluate(ast.parse(expression), scrape)
    return found if isinstance(found, dict) else {frozenset(): found}


def _evaluate(node: ast.Expr, scrape: Scrape) -> Vector | float:
    match node:
        case ast.NumberLiteral():
            return float(node.val)
        case ast.ParenExpr():
            return _evaluate(node.expr, scrape)
        case ast.VectorSelector():
            series = scrape.samples.get(str(node.name), {})
            return {labels: value for labels, value in series.items() if _matches(node, dict(labels))}
        case ast.AggregateExpr():
            return _aggregate(node, scrape)
        case ast.BinaryExpr():
            return _combine(str(node.op), _evaluate(node.lhs, scrape), _evaluate(node.rhs, scrape))
        case ast.Call():
            return _call(node, scrape)
    raise NotOfAMoment(type(node).__name__)


def _matches(node: ast.VectorSelector, labels: Mapping[str, str]) -> bool:
    return all(_holds(each, labels.get(each.name, "")) for each in node.matchers.matchers)


def _holds(matcher: ast.Matcher, value: str) -> bool:
    is_equal = value == matcher.value
    if matcher.op in (ast.MatchOp.Re, ast.MatchOp.NotRe):
        is_equal = re.fullmatch(matcher.value, value) is not None
    return is_equal == (matcher.op in (ast.MatchOp.Equal, ast.MatchOp.Re))


def _aggregate(node: ast.AggregateExpr, scrape: Scrape) -> Vector:
    inner = _evaluate(node.expr, scrape)
    assert isinstance(inner, dict)
    kept = set(node.modifier.labels) if node.modifier else set()
    groups: dict[Labels, list[float]] = {}
    for labels, value in inner.items():
        groups.setdefault(frozenset(each for each in labels if each[0] in kept), []).append(value)
    return {labels: AGGREGATIONS[str(node.op)](values) for labels, values in groups.items()}


def _call(node: ast.Call, scrape: Scrape) -> Vector | float:
    if node.func.name == "time":
        return time.time()
    if node.func.name == "absent":
        inner = _evaluate(node.args[0], scrape)
        return {} if inner else {frozenset(): 1.0}
    raise NotOfAMoment(node.func.name)


def _combine(op: str, left: Vector | float, right: Vector | float) -> Vector | float:
    if not isinstance(left, dict) and not isinstance(right, dict):
        return ARITHMETIC[op](left, right)
    pairs: dict[Labels, tuple[float, float]] = {}
    if not isinstance(left, dict):
        assert isinstance(right, dict)
        pairs = {labels: (left, value) for labels, value in right.items()}
    elif not isinstance(right, dict):
        pairs = {labels: (value, right) for labels, value in left.items()}
    else:
        pairs = {labels: (value, right[labels]) for labels, value in left.items() if labels in right}
    if op in COMPARISONS:
        return {labels: value for labels, (value, other) in pairs.items() if COMPARISONS[op](value, other)}
    return {labels: ARITHMETIC[op](value, other) for labels, (value, other) in pairs.items()}

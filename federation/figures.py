"""The federation's figures for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from federation.selectors import progress
from federation.selectors.confirmations import waiting_count
from federation.selectors.organization_list import organizations_by_state
from federation.selectors.overview import stalled_rounds
from flxdr.core.clock import SystemClock
from flxdr.platform.metrics.figures import Figure, Sample, Source, register_source

CURRENT_ROUND = Figure("flxdr_current_round", "Number of the newest round of a model.", ("model",))
ROUNDS = Figure("flxdr_rounds", "Rounds by what became of them, or what they are doing.", ("status",))
OPEN_AGE = Figure(
    "flxdr_open_round_age_seconds", "Seconds since the open round of a model started.", ("model", "status")
)
OVERDUE = Figure(
    "flxdr_open_round_overdue_seconds",
    "Seconds since the deadline of the open round's collection, or of its step; 0 before it and after the collection.",
    ("model",),
)
STALLED = Figure("flxdr_rounds_stalled", "Rounds to be aggregated on which no worker works.")
ORGANIZATIONS = Figure(
    "flxdr_organizations",
    "Organisations: pending and suspended ones, and active ones by when they were heard of.",
    ("status",),
)
TOTAL = Figure("flxdr_total_orgs", "Registered organisations.")
ACTIVE = Figure("flxdr_active_orgs", "Active organisations, connected or not.")
CONFIRMATIONS = Figure("flxdr_confirmations_waiting", "What one operator asked for and a second one has not decided.")
VERSION = Figure("flxdr_global_model_version", "Version of a model's newest release that stands.", ("model",))
ACCURACY = Figure(
    "flxdr_training_accuracy",
    "Sample-weighted mean of the accuracy that the participants of the newest release reported.",
    ("model",),
)
SANITIZATION = Figure(
    "flxdr_sanitization_rate",
    "Sample-weighted mean of the share of records that participants of the newest release reported as sanitised.",
    ("model",),
)
CONVERGENCE = Figure(
    "flxdr_convergence_metric", "L2 norm of the step that the newest release took, in model units.", ("model",)
)
GRADIENT_NORM = Figure(
    "flxdr_gradient_norm",
    "Mean L2 norm of the updates that the newest release combined, in model units; unknown where they were masked.",
    ("model",),
)
FAILURE_RATE = Figure(
    "flxdr_org_failure_rate",
    "Share of the organisations of a model's newest ended round that did not submit in time.",
    ("model",),
)
FIGURES = (
    CURRENT_ROUND,
    ROUNDS,
    OPEN_AGE,
    OVERDUE,
    STALLED,
    ORGANIZATIONS,
    TOTAL,
    ACTIVE,
    CONFIRMATIONS,
    VERSION,
    ACCURACY,
    SANITIZATION,
    CONVERGENCE,
    GRADIENT_NORM,
    FAILURE_RATE,
)
REPORTED = {"accuracy": ACCURACY, "sanitization_rate": SANITIZATION}


def register() -> None:
    """Let `/metrics` tell them."""
    register_source(Source("federation", FIGURES, read))


def read() -> Iterator[Sample]:
    yield from _rounds()
    yield from _organizations()
    for release in progress.newest_releases():
        model = release.model_name
        yield VERSION.at(release.version, model)
        for name, figure in REPORTED.items():
            if name in release.metrics:
                yield figure.at(release.metrics[name], model)
        if release.convergence is not None:
            yield CONVERGENCE.at(release.convergence, model)
        if release.mean_norm is not None:
            yield GRADIENT_NORM.at(release.mean_norm, model)


def _rounds() -> Iterator[Sample]:
    now = SystemClock().now()
    for model, number in progress.current_rounds().items():
        yield CURRENT_ROUND.at(number, model)
    for status, count in progress.rounds_by_status().items():
        yield ROUNDS.at(count, status)
    for each in progress.open_rounds():
        yield OPEN_AGE.at((now - each.started_at).total_seconds(), each.model_name, each.status)
        is_collecting = each.status == each.Status.IN_PROGRESS
        yield OVERDUE.at(max(0.0, (now - each.deadline).total_seconds()) if is_collecting else 0, each.model_name)
    yield STALLED.at(len(stalled_rounds(now)))
    yield CONFIRMATIONS.at(waiting_count(now))
    for model, rate in progress.failure_rates().items():
        yield FAILURE_RATE.at(rate, model)


def _organizations() -> Iterator[Sample]:
    states = organizations_by_state(SystemClock().now())
    for state, count in states.items():
        yield ORGANIZATIONS.at(count, state)
    total = sum(states.values())
    yield TOTAL.at(total)
    yield ACTIVE.at(total - states["pending"] - states["suspended"])

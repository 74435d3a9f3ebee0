"""`manage.py train`: run a campaign and watch it."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from federation import selectors
from federation.aggregation.registry import METHODS, ROBUST_METHODS
from federation.aggregation.weighting import WEIGHTINGS
from federation.services import campaigns
from federation.services.round_setup import aggregation_choice
from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError
from flxdr.platform.configuration import integers

LOOK_EVERY = 0.5  # seconds


class Command(BaseCommand):
    help = (
        "Start a campaign and follow it to its end. The rounds themselves are run by the worker and the organisations."
    )

    def __init__(self, *args: Any, pause: Callable[[float], object] = time.sleep, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pause = pause

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", help="which model to train (FL_DEFAULT_MODEL)")
        parser.add_argument("--rounds", type=int, help="rounds to complete (FL_TRAINING_ROUNDS)")
        parser.add_argument("--aggregation-method", choices=METHODS, help="(FL_AGGREGATION_METHOD)")
        parser.add_argument(
            "--robust-method", choices=tuple(ROBUST_METHODS), help="of RobustAggregator (FL_AGGREGATION_ROBUST_METHOD)"
        )
        parser.add_argument(
            "--aggregation-params",
            type=_named_integers,
            metavar="NAME=INTEGER,...",
            help="the method's parameters; their names and ranges are at /docs, under round/start",
        )
        parser.add_argument("--weighting", choices=WEIGHTINGS, help="of the means (as usual for the model)")

    def handle(
        self,
        *,
        model: str | None,
        rounds: int | None,
        aggregation_method: str | None,
        robust_method: str | None,
        aggregation_params: Mapping[str, int] | None,
        weighting: str | None,
        **_: Any,
    ) -> None:
        try:
            campaign = campaigns.start_campaign(
                actor="command:train",
                model_name=model,
                rounds=rounds,
                parameters=aggregation_choice(aggregation_method, robust_method, aggregation_params)
                | ({"weighting": weighting} if weighting else {}),
                clock=SystemClock(),
            )
        except FlxdrError as error:
            raise CommandError(str(error)) from error
        try:
            ended = self._follow(campaign.pk)
        except KeyboardInterrupt:
            raise CommandError(f"campaign {campaign.pk} goes on; abort it in the admin") from None
        if ended["status"] != "completed":
            raise CommandError(
                f"campaign {campaign.pk} stopped after {ended['rounds_completed']} of {ended['rounds_total']} rounds: "
                f"{ended['stop_reason']}"
            )
        status = selectors.federation_status(campaign.model_name)
        self.stdout.write(
            f"Campaign {campaign.pk}: {ended['rounds_total']} rounds of {campaign.model_name} completed, "
            f"{status['global_model_version']} {status['global_model_hash']}"
        )

    def _follow(self, campaign_id: int) -> dict[str, Any]:
        """Show the campaign's progress until it has ended; its last state."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task(f"campaign {campaign_id}")
            while True:
                state = selectors.campaign_detail(campaign_id)
                description = _description(state)
                progress.update(
                    bar, total=state["rounds_total"], completed=state["rounds_completed"], description=description
                )
                if state["status"] != "running":
                    return state
                self._pause(LOOK_EVERY)


def _named_integers(text: str) -> dict[str, int]:
    parser = integers()
    try:
        named: dict[str, int] = parser.read(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not allowed. Allowed: {parser.allowed}.") from None
    return named


def _description(state: dict[str, Any]) -> str:
    if not state["rounds"]:
        return str(state["model_name"])
    newest = selectors.round_status(selectors.round_by_id(state["rounds"][-1]))
    submitted = f"{newest['orgs_submitted']}/{newest['orgs_expected']} submitted"
    return f"{state['model_name']} round {newest['round_number']}: {newest['phase']}, {submitted}"

"""`privacy epsilon`, `calibrate`, `budget`: what private training costs, asks for in noise, and has cost so far."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Annotated

import typer

from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened, reporting
from privacy.dp import rdp
from privacy.dp.accountant import epsilon_ppm
from privacy.dp.composition import PPM

app = typer.Typer(
    help="Calculate with differential privacy, and see what was spent; nothing is sent.", no_args_is_help=True
)

MOST_STEPS = 2**53 - 1
"""As many as a round's configuration can ask for."""

_Rate = Annotated[float, typer.Option("--sampling-rate", help="Probability of each record to be drawn in a step.")]
_Steps = Annotated[int, typer.Option("--steps", max=MOST_STEPS, help="Steps of training, over all rounds.")]
_Delta = Annotated[float, typer.Option("--delta", help="Probability with which the guarantee may fail.")]


@app.command("epsilon")
def epsilon(
    *,
    noise_multiplier: Annotated[
        float, typer.Option("--noise-multiplier", help="Standard deviation of the noise, in clipping norms.")
    ],
    sampling_rate: _Rate,
    steps: _Steps,
    delta: _Delta,
    machine: Json = False,
) -> None:
    """What that training costs: the epsilon that Renyi accounting proves, rounded up to a millionth."""
    with reporting(machine) as output:
        spent = rdp.epsilon(rdp.steps(noise_multiplier, sampling_rate, steps), delta)
        rounded = math.ceil(spent * PPM) / PPM
        output.result(
            {
                "epsilon": rounded,
                "delta": delta,
                "noise_multiplier": noise_multiplier,
                "sampling_rate": sampling_rate,
                "steps": steps,
            },
            f"epsilon {rounded:.6f} at delta {delta:g}",
        )


@app.command("calibrate")
def calibrate(
    *,
    target: Annotated[float, typer.Option("--epsilon", help="What may be spent in all.")],
    sampling_rate: _Rate,
    steps: _Steps,
    delta: _Delta,
    machine: Json = False,
) -> None:
    """The least noise with which that training spends at most epsilon, rounded up to a millionth."""
    with reporting(machine) as output:
        noise = rdp.calibrated_noise(target=target, delta=delta, sampling_rate=sampling_rate, count=steps)
        rounded = math.ceil(noise * PPM) / PPM
        spent = rdp.epsilon(rdp.steps(rounded, sampling_rate, steps), delta)
        output.result(
            {
                "noise_multiplier": rounded,
                "epsilon": math.ceil(spent * PPM) / PPM,
                "delta": delta,
                "sampling_rate": sampling_rate,
                "steps": steps,
            },
            f"noise multiplier {rounded:.6f}: epsilon {spent:.6f} at delta {delta:g}",
        )


@app.command("budget")
def budget(context: typer.Context, *, home: Home = DEFAULT_HOME, machine: Json = False) -> None:
    """What the noise of all rounds so far has cost this organisation's records, by the agent's own account."""
    with opened(context, home, machine) as agent:
        limit, losses = agent.config.privacy, agent.state.losses.losses()
        spent = epsilon_ppm((loss.release for loss in losses), limit.delta) / PPM
        agent.output.result(
            {
                "epsilon_used": spent,
                "epsilon_limit": limit.epsilon,
                "epsilon_remaining": max(0.0, limit.epsilon - spent),
                "delta": limit.delta,
                "releases": [
                    {"round_id": loss.round_id, "reserved_at": loss.reserved_at, **asdict(loss.release)}
                    for loss in losses
                ],
            },
            f"epsilon {spent:.6f} of {limit.epsilon:g} at delta {limit.delta:g}, in {len(losses)} release(s) of noise",
        )

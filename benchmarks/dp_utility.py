"""`python -m benchmarks.dp_utility FILE [--write]`: what record-level noise costs on NSL-KDD, for several epsilons.

FILE is `KDDTrain+_20Percent.txt`, or that gzipped; records never enter the repository. Five organisations, told apart
by the services that they run, train the product's perceptron on the data set's own features, with the product's plain
trainer and with its DP-SGD at an epsilon for all rounds together. `--write` puts table and curve into `docs/`.

The test holds a fifth of each organisation's rows, without those that equal a training row in every feature. A second,
harder one adds every row of five kinds of attack that no organisation trains on.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from textwrap import fill

import numpy as np
import numpy.typing as npt

from models_ml import metrics
from models_ml.codec import Int32
from models_ml.dpsgd import RecordNoise, train_privately
from models_ml.families import BENIGN, FAMILIES
from models_ml.fixed_point import add_update, quantise
from models_ml.local_trainer import LocalConfig, train
from models_ml.perceptron import logits, parameters_of, softmax
from models_ml.registry import HIDDEN
from privacy.dp.accountant import calibrated_multiplier_ppm
from privacy.dp.coins import SecretCoins
from privacy.dp.composition import PPM

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOCUMENT, PLOT = DOCS / "privacy.md", DOCS / "images" / "dp-utility.svg"
BEGIN = "<!-- utility: written by `python -m benchmarks.dp_utility FILE --write`; do not edit -->"
END = "<!-- utility: end -->"

EPSILONS = (1, 2, 4, 8)
DELTA = 1e-5
MOST_LOST = 0.03
"""Of macro binary F1 at epsilon 1, against training without noise."""
REPEATS = 5
ROUNDS, SAMPLING_PPM, STEPS, CLIP = 10, 100_000, 10, 1.0
PRIVATE, PLAIN = LocalConfig(learning_rate=1.0, proximal_mu=0.0), LocalConfig(epochs=1, learning_rate=0.03)

SERVICES = (
    ("http", "http_443", "domain_u"),
    ("smtp", "pop_3", "imap4", "auth", "finger"),
    ("ftp", "ftp_data", "telnet", "ssh", "login"),
    ("private",),
)
"""Services of the first four organisations; the fifth runs the rest."""
UNSEEN = ("satan", "smurf", "back", "warezclient", "guess_passwd")
"""Kinds of attack that nobody trains on: of every family at least one."""
DENIAL = frozenset({"back", "land", "neptune", "pod", "smurf", "teardrop"})
PROBES = frozenset({"ipsweep", "nmap", "portsweep", "satan"})
LOG_SCALE, LOG_LIMIT = 8.0, 2.0
_PROTOCOL, _SERVICE, _FLAG, _LABEL = 1, 2, 3, 41

Floats = npt.NDArray[np.float32]
Model = dict[str, Int32]
Local = Callable[[Model, Floats, npt.NDArray[np.intp], int], Mapping[str, Int32]]


@dataclass(frozen=True)
class Federation:
    """Inputs (n, features), labels (n,), and rows: of every organisation for training, of the test, of unseen kinds."""

    inputs: Floats
    labels: npt.NDArray[np.intp]
    organizations: Sequence[npt.NDArray[np.intp]]
    test: npt.NDArray[np.intp]
    unseen: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Scores:
    """Macro binary F1 of one training on the test, and on the test with the unseen kinds."""

    known: float
    with_unseen: float


def main() -> int:
    """Print or write; the exit code is 1 when epsilon 1 loses more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dp_utility", description=__doc__)
    parser.add_argument("file", type=Path, help="KDDTrain+_20Percent.txt, or .gz")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT} and {PLOT}")
    arguments = parser.parse_args()
    federation = read(arguments.file)
    plain = [scores_after(federation, trained_plainly, seed) for seed in range(REPEATS)]
    private = {
        epsilon: [scores_after(federation, _private(epsilon), seed) for seed in range(REPEATS)] for epsilon in EPSILONS
    }
    text = table(federation, plain, private)
    print(text)
    if arguments.write:
        document = DOCUMENT.read_text(encoding="utf-8")
        before, after = document.split(BEGIN)[0], document.split(END)[1]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
        PLOT.write_text(curve(plain, private), encoding="utf-8")
    return 0 if _known(plain) - _known(private[1]) <= MOST_LOST else 1


def read(path: Path) -> Federation:
    """Rows of NSL-KDD as features of bounded size: rates as they are, counts on a log scale, the rest one-hot."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = np.array([line.split(",") for line in text.decode().splitlines()])
    inputs = _features(rows)
    labels = np.array([_family(name) for name in rows[:, _LABEL]])
    rng = np.random.default_rng(0)
    owner = np.array([_owner(service) for service in rows[:, _SERVICE]])
    unseen = np.isin(rows[:, _LABEL], UNSEEN)
    held = rng.random(len(rows)) < 0.2
    training = ~held & ~unseen
    known = {row.tobytes() for row in inputs[training]}
    new = np.array([row.tobytes() not in known for row in inputs])
    organizations = [np.flatnonzero(training & (owner == index)) for index in range(len(SERVICES) + 1)]
    return Federation(inputs, labels, organizations, np.flatnonzero(held & ~unseen & new), np.flatnonzero(unseen & new))


def scores_after(federation: Federation, local: Local, seed: int) -> Scores:
    """What the model reaches after `ROUNDS` rounds."""
    model = trained(federation, local, seed)
    return Scores(
        known=_f1(federation, model, federation.test),
        with_unseen=_f1(federation, model, np.concatenate((federation.test, federation.unseen))),
    )


def trained(federation: Federation, local: Local, seed: int) -> Model:
    """The model after `ROUNDS` rounds of FedAvg by samples."""
    model = _initial(federation.inputs.shape[1], seed)
    total = sum(map(len, federation.organizations))
    for number in range(ROUNDS):
        updates = [
            local(model, federation.inputs[rows], federation.labels[rows], seed * ROUNDS + number)
            for rows in federation.organizations
        ]
        for name in model:
            weighted = sum(
                len(rows) * update[name].astype(np.float64)
                for rows, update in zip(federation.organizations, updates, strict=True)
            )
            model[name] = add_update(model[name], np.rint(weighted / total).astype(np.int32))
    return model


def table(federation: Federation, plain: Sequence[Scores], private: Mapping[int, Sequence[Scores]]) -> str:
    """What was measured, as Markdown."""
    sizes = ", ".join(str(len(rows)) for rows in federation.organizations)
    intro = (
        f"Five organisations of {sizes} rows; {len(federation.test)} rows to test on, and {len(federation.unseen)} of "
        f"unseen kinds; {ROUNDS} rounds of {STEPS} steps, sampling rate {SAMPLING_PPM / PPM:g}, "
        f"clipping norm {CLIP:g}, delta {DELTA:g}; {REPEATS} runs each, mean (lowest)."
    )
    lines = [
        fill(intro, 120),
        "",
        "| epsilon of all rounds | noise multiplier | macro binary F1 | lost | with unseen kinds |",
        "|---|---|---|---|---|",
    ]
    lines.append(_row("no noise", "-", plain, "-"))
    for epsilon, runs in private.items():
        lost = f"{_known(plain) - _known(runs):.3f}"
        lines.append(_row(str(epsilon), f"{_multiplier_ppm(epsilon) / PPM:.2f}", runs, lost))
    return "\n".join(lines)


def curve(plain: Sequence[Scores], private: Mapping[int, Sequence[Scores]]) -> str:
    """F1 over epsilon (log scale) as an SVG: the mean, the span of the runs, and training without noise as a line."""
    low, high = 0.9, 1.0
    places = {epsilon: 70 + 110 * index for index, epsilon in enumerate(private)}

    def height(value: float) -> float:
        return round(20 + 220 * (high - value) / (high - low), 1)

    def label(x: float, y: float, text: str, anchor: str = "middle") -> str:
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'

    marks = [
        '<path d="M50 20V240H440" fill="none" stroke="#888"/>',
        label(245, 285, "epsilon of all rounds, delta 1e-5"),
    ]
    marks += [label(44, height(value) + 4, f"{value:.2f}", "end") for value in np.arange(low, high + 0.01, 0.02)]
    reference = height(_known(plain))
    marks.append(f'<path d="M50 {reference}H440" stroke="#2a7" stroke-dasharray="6 4"/>')
    marks.append(label(56, reference - 6, "without noise", "start"))
    for epsilon, runs in private.items():
        x = places[epsilon]
        span = sorted(height(scores.known) for scores in runs)
        marks.append(f'<path d="M{x} {span[0]}V{span[-1]}" stroke="#36c"/>')
        marks.append(f'<circle cx="{x}" cy="{height(_known(runs))}" r="4" fill="#36c"/>')
        marks.append(label(x, 260, str(epsilon)))
    line = " ".join(f"{places[epsilon]},{height(_known(runs))}" for epsilon, runs in private.items())
    marks.append(f'<polyline points="{line}" fill="none" stroke="#36c"/>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 300" font-family="sans-serif" font-size="12">\n'
        "<title>Macro binary F1 on NSL-KDD under record-level noise</title>\n"
        '<rect width="460" height="300" fill="#fff"/>\n' + "\n".join(marks) + "\n</svg>\n"
    )


def _row(name: str, noise: str, runs: Sequence[Scores], lost: str) -> str:
    known, harder = [scores.known for scores in runs], [scores.with_unseen for scores in runs]
    figures = f"{mean(known):.3f} ({min(known):.3f}) | {lost} | {mean(harder):.3f} ({min(harder):.3f})"
    return f"| {name} | {noise} | {figures} |"


def _f1(federation: Federation, model: Model, rows: npt.NDArray[np.intp]) -> float:
    probabilities = softmax(logits(parameters_of(model), federation.inputs[rows]))
    return metrics.evaluate(probabilities, federation.labels[rows])["macro_binary_f1"]


def _known(runs: Sequence[Scores]) -> float:
    return mean(scores.known for scores in runs)


def trained_plainly(model: Model, inputs: Floats, labels: npt.NDArray[np.intp], seed: int) -> Mapping[str, Int32]:
    config = LocalConfig(PLAIN.epochs, PLAIN.batch_size, PLAIN.learning_rate, PLAIN.proximal_mu, seed)
    return train(model, inputs, labels, config).delta


def _private(epsilon: int) -> Local:
    noise = RecordNoise(CLIP, _multiplier_ppm(epsilon) / PPM, SAMPLING_PPM, STEPS)

    def local(model: Model, inputs: Floats, labels: npt.NDArray[np.intp], _: int) -> Mapping[str, Int32]:
        return train_privately(model, inputs, labels, PRIVATE, noise=noise, coins=SecretCoins())

    return local


def _multiplier_ppm(epsilon: int) -> int:
    return calibrated_multiplier_ppm(
        budget_ppm=epsilon * PPM, delta=DELTA, sampling_ppm=SAMPLING_PPM, steps=STEPS * ROUNDS
    )


def _features(rows: npt.NDArray[np.str_]) -> Floats:
    """Bounds are fixed, not taken from the data: what is learnt of data outside of training is not protected."""
    texts = (_PROTOCOL, _SERVICE, _FLAG)
    numbers = np.delete(rows[:, :_LABEL], texts, axis=1).astype(np.float64)
    counts = np.array([name in _COUNTS for name in range(_LABEL) if name not in texts])
    numbers[:, counts] = np.minimum(np.log1p(numbers[:, counts]) / LOG_SCALE, LOG_LIMIT)
    hot = [rows[:, [column]] == np.array(values)[None, :] for column, values in zip(texts, _VALUES, strict=True)]
    return np.hstack([numbers, *hot]).astype(np.float32)


_COUNTS = frozenset({0, 4, 5, 7, 8, 9, 10, 12, 14, 15, 16, 17, 18, 19, 22, 23, 31, 32})
"""Columns that count or measure; the other numbers are flags and rates."""
_VALUES = (
    ("tcp", "udp", "icmp"),
    ("http", "private", "domain_u", "smtp", "ftp_data", "eco_i", "ecr_i", "other", "telnet", "finger", "ftp", "auth"),
    ("SF", "S0", "REJ", "RSTR", "RSTO", "SH", "S1", "S2", "S3", "RSTOS0", "OTH"),
)


def _family(name: str) -> int:
    if name == "normal":
        return BENIGN
    return FAMILIES.index("DDoS" if name in DENIAL else "Scan" if name in PROBES else "ExternalAttack")


def _owner(service: str) -> int:
    return next((index for index, services in enumerate(SERVICES) if service in services), len(SERVICES))


def _initial(width: int, seed: int) -> Model:
    """Weights uniform in +-sqrt(6 / fan_in), biases zero."""
    rng = np.random.default_rng(seed)
    model: Model = {}
    sizes = (width, *HIDDEN, len(FAMILIES))
    for name, fan_in, fan_out in zip(("hidden1", "hidden2", "output"), sizes[:-1], sizes[1:], strict=True):
        limit = np.sqrt(6 / fan_in)
        model[f"{name}.weight"] = quantise(rng.uniform(-limit, limit, (fan_in, fan_out)))
        model[f"{name}.bias"] = quantise(np.zeros(fan_out))
    return model


if __name__ == "__main__":
    sys.exit(main())

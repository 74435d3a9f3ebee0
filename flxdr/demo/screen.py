"""What the demo shows: steps, progress bars, the table, the checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from flxdr.demo.checks import Check
from flxdr.demo.detections import Detections, strongest
from flxdr.demo.evaluation import Figures
from flxdr.demo.federation import RoundProgress

COLUMNS = {
    "macro_binary_f1": "F1",
    "macro_binary_f1_known": "F1 known",
    "average_precision": "AP",
    "auc": "AUC",
    "fpr_at_95_tpr": "FPR 95",
}
LEGEND = (
    "F1: macro-binary F1, thresholds from validation records alone; F1 known: without families that nobody trained on;",
    "AP: average precision; AUC: area under the ROC curve; FPR 95: false positive rate at 95 % true positives",
)


class Screen:
    """The terminal, or a log where there is none: then every round is a line instead of a bar."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)

    def step(self, text: str) -> None:
        self.console.print(f"[bold]{text}[/bold]")

    def note(self, text: str) -> None:
        self.console.print(f"  {text}", markup=False)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar; yields what sets its position."""
        with self._progress() as bars:
            task = bars.add_task(title, total=total, detail="")
            yield lambda done: bars.update(task, completed=done)
        self.note(f"{title}: {total} of {total}") if not self.console.is_terminal else None

    @contextmanager
    def campaign(self, rounds: int) -> Iterator[Callable[[RoundProgress], None]]:
        """Two bars, the campaign's rounds and the round's updates; yields what shows how a round goes."""
        with self._progress() as bars:
            whole = bars.add_task("campaign", total=rounds, detail="")
            one = bars.add_task("round", total=1, detail="")
            seen: set[tuple[int, str]] = set()

            def show(progress: RoundProgress) -> None:
                bars.update(whole, completed=progress.number - 1, detail=f"round {progress.number}")
                bars.update(one, total=progress.expected, completed=progress.submitted, detail=progress.phase)
                if not self.console.is_terminal and (progress.number, progress.phase) not in seen:
                    seen.add((progress.number, progress.phase))
                    self.note(f"round {progress.number} of {progress.rounds}: {progress.phase}")

            yield show
            bars.update(whole, completed=rounds, detail="")

    def table(self, rows: Mapping[str, Figures], title: str) -> None:
        table = Table(title=title, title_justify="left")
        table.add_column("model")
        for column in COLUMNS.values():
            table.add_column(column, justify="right")
        for name, figures in rows.items():
            cells = (f"{figures[figure]:.3f}" if figure in figures else "-" for figure in COLUMNS)
            table.add_row(name, *cells, style="bold" if name == "federated" else None)
        self.console.print(table)
        for line in LEGEND:
            self.note(line)

    def detections(self, found: Sequence[Detections]) -> None:
        """The strongest alert of every family at each organisation."""
        table = Table(title="the strongest alert of each family", title_justify="left")
        for column in ("organisation", "family", "ATT&CK", "score", "flows", "advice", "by", "approval"):
            table.add_column(column, justify="right" if column in ("score", "flows") else "left")
        for each in found:
            for alert in strongest(each):
                advice = alert["recommendation"]
                table.add_row(
                    each.organization,
                    alert["family"],
                    alert["technique"]["id"],
                    f"{alert['score']:.3f}",
                    str(alert["flows"]),
                    advice["action"],
                    advice["source"],
                    advice["approval"],
                )
        self.console.print(table)
        for each in found:
            counts = ", ".join(f"{count} {family}" for family, count in each.by_family.items()) or "none"
            self.note(f"{each.organization}: alerts {counts}")

    def checks(self, checks: Sequence[Check]) -> None:
        for check in checks:
            mark = "[green]holds[/green]" if check.holds else "[red]FAILS[/red]"
            self.console.print(f"  {mark}  {check.name}: {check.evidence}")

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )

"""The demo's result as a picture that stands alone: an SVG with its own colours, light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 760, 30, 170, 130, 76
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#16202b}.title{font-weight:650;font-size:15px}.quiet{fill:#5a6672}"
    ".ground{fill:#fff}.local{fill:#9aa7b5}.mean{fill:#5a6672}.federated{fill:#1d5fa8}.centralised{fill:#7db4ef}"
    "@media(prefers-color-scheme:dark){text{fill:#e6ebf0}.quiet{fill:#a3b0bd}.ground{fill:#19222c}"
    ".federated{fill:#4f97e0}}"
)


def draw(figures: Mapping[str, Mapping[str, float]], *, caption: str) -> str:
    """Macro-binary F1 of every row of the demo's table as a bar, in the table's order.

    Args:
        figures: row name (`local: NAME`, `local: mean`, `federated`, `centralised`) to its figures.
        caption: one line on what was measured.
    """
    scale = _WIDTH - _LEFT - _RIGHT
    height = _TOP + _ROW * len(figures) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>{escape(caption)}</title><style>{_STYLE}</style>"
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>'
        f'<text class="title" x="16" y="24">Macro-binary F1 on the test flows of all organisations</text>'
        f'<text class="quiet" x="16" y="43">{escape(caption)}</text>'
        f'<text class="quiet" x="16" y="61">bar: all flows; in brackets: without families that nobody trained on</text>'
    ]
    for index, (name, row) in enumerate(figures.items()):
        y = _TOP + _ROW * index
        value = row["macro_binary_f1"]
        parts.append(
            f'<text x="{_LEFT - 10}" y="{y + 19}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{_kind(name)}" x="{_LEFT}" y="{y + 5}" width="{scale * value:.1f}" height="20" rx="3"/>'
            f'<text x="{_LEFT + scale * value + 8:.1f}" y="{y + 19}">{value:.3f}'
            f'<tspan class="quiet"> ({row["macro_binary_f1_known"]:.3f})</tspan></text>'
        )
    return "\n".join(parts) + "\n</svg>\n"


def _kind(name: str) -> str:
    return "mean" if name == "local: mean" else name.partition(":")[0]

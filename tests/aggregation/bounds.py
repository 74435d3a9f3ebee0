"""Every strategy of the registry, and how many hostile updates each of them promises to stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from federation.aggregation import registry
from federation.aggregation.strategy import Strategy

MEANS = tuple(registry.MEANS)
ROBUST = tuple(registry.ROBUST_METHODS)
STRATEGIES = (*MEANS, *ROBUST)


def _minority(count: int) -> int:
    return (count - 1) // 2


# The largest f that each stands among n updates; trimmed mean at its default, a fifth of either end.
_STOOD: Mapping[str, Callable[[int], int]] = MappingProxyType(
    {
        "median": _minority,
        "trimmed_mean": lambda count: max(1, count // 5),
        "krum": lambda count: (count - 3) // 2,
        "multi_krum": lambda count: (count - 3) // 2,
        "norm_bounding": _minority,
        "centered_clipping": _minority,
        "geometric_median": _minority,
        "bulyan": lambda count: (count - 3) // 4,
    }
)


def stood(name: str, count: int) -> int:
    """How many of `count` updates may be hostile."""
    return _STOOD[name](count) if name in _STOOD else 0


def built(name: str, hostile: int) -> Strategy:
    """The strategy with its defaults, told how many are hostile where it asks."""
    if name in registry.MEANS:
        return registry.build(name)
    parameters = registry.ROBUST_METHODS[name].parameters
    asked = {"byzantine": hostile} if any(parameter.name == "byzantine" for parameter in parameters) else {}
    return registry.build(registry.ROBUST, {registry.ROBUST_METHOD: name} | asked)


def fewest(name: str) -> int:
    """The fewest updates among which the strategy stands one hostile one."""
    return max(built(name, 1).minimum(), 3)

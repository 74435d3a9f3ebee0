"""The families of traffic that the classifier tells apart; their order is part of every model file.

`Benign` is index 0. `UNLABELLED` marks records that nobody judged; they take no part in training or evaluation.
"""

from __future__ import annotations

from functools import lru_cache

FAMILIES = (
    "Benign",
    "C2",
    "DDoS",
    "Scan",
    "ExternalAttack",
    "FileDownload",
    "Exfiltration",
    "BruteForce",
    "LateralMovement",
)
BENIGN = 0
UNLABELLED = -1
_INDEX = {family.lower(): index for index, family in enumerate(FAMILIES)}

# What public labelled Zeek logs write in `detailed-label`, by the part that decides; first match wins.
_DETAILS = (
    ("filedownload", "FileDownload"),
    ("c&c", "C2"),
    ("torii", "C2"),
    ("heartbeat", "C2"),
    ("ddos", "DDoS"),
    ("portscan", "Scan"),
    ("bruteforce", "BruteForce"),
    ("lateral", "LateralMovement"),
    ("exfiltration", "Exfiltration"),
    ("attack", "ExternalAttack"),
)

# What the public NetFlow sets write in `Attack`, by the part that decides; first match wins.
_ATTACKS = (
    ("ddos", "DDoS"),
    ("dos", "DDoS"),
    ("recon", "Scan"),
    ("scan", "Scan"),
    ("brute", "BruteForce"),
    ("password", "BruteForce"),
    ("theft", "Exfiltration"),
    ("bot", "C2"),
    ("backdoor", "C2"),
    ("infil", "LateralMovement"),
    ("exploit", "ExternalAttack"),
    ("inject", "ExternalAttack"),
    ("xss", "ExternalAttack"),
    ("fuzzer", "ExternalAttack"),
    ("shellcode", "ExternalAttack"),
    ("worm", "ExternalAttack"),
    ("generic", "ExternalAttack"),
)


def index_of(family: str) -> int:
    """Index of a family by name, in any case; `UNLABELLED` for every other text."""
    return _INDEX.get(family.strip().lower(), UNLABELLED)


def from_labels(family: str | None, label: str | None, detail: str | None) -> int:
    """Index of the family that a labelled record names.

    Args:
        family: an explicit family; where it is given it decides.
        label: `Benign` or `Malicious` in public labelled Zeek logs.
        detail: their `detailed-label`, e.g. `C&C-HeartBeat` or `PartOfAHorizontalPortScan`.
    """
    if family:
        return index_of(family)
    verdict = (label or "").strip().lower()
    if verdict == "benign":
        return BENIGN
    wanted = (detail or "").lower().replace("-", "").replace("_", "")
    for part, name in _DETAILS:
        if part in wanted:
            return _INDEX[name.lower()]
    return index_of(verdict)


@lru_cache(maxsize=256)  # a file names a handful of attacks, once a record
def from_attack(attack: str, label: str) -> str:
    """The family that a labelled NetFlow record names, as text; empty for an attack of no family here.

    A flood from one host (DoS) is of the same family as one from many: a single flow shows no difference.

    Args:
        attack: `Attack` of the public NetFlow sets, e.g. `DDoS`, `Reconnaissance`, `Theft`.
        label: their `Label`: 0 for benign.
    """
    if label == "0" or attack.lower() == "benign":
        return FAMILIES[BENIGN]
    wanted = attack.lower()
    return next((name for part, name in _ATTACKS if part in wanted), "")

"""One spelling for text before it is searched: what looks like an identifier to people has to look so to a pattern."""

from __future__ import annotations

import re
import unicodedata

_OPEN, _CLOSE = r"(?<![\[({])[\[({]++\s?+", r"\s?+[\])}]++"
_DEFANGED = re.compile(
    rf"(?P<dot> ?{_OPEN}(?:\.|dot|%2e){_CLOSE} ?|%2e)"
    rf"|(?P<at> ?{_OPEN}(?:@|at|%40){_CLOSE} ?|%40)"
    rf"|(?P<colon>{_OPEN}(?::|%3a)(?://)?{_CLOSE}|%3a)"
    r"|(?P<scheme>h(?:xx|\*\*)p(?=s?(?:[:\[({]|%3a)))",
    re.IGNORECASE,
)
_REFANGED = {"dot": ".", "at": "@", "colon": ":", "scheme": "http"}
_HINT = re.compile(r"[\[({%*]|xxp", re.IGNORECASE)
_DOTS = frozenset("\u3002\u2024\u00b7\u2027\u2219\u22c5\u30fb")  # what is drawn as a full stop after NFKC
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2212")


def normalise(text: str) -> str:
    """NFKC text in ASCII digits, dots and hyphens, without invisible characters, and with defanging undone.

    `hxxps://evil[.]example` becomes `https://evil.example`. Doing it twice changes nothing more.
    """
    if not text.isascii():
        text = "".join(map(_fold, unicodedata.normalize("NFKC", text)))
        text = unicodedata.normalize("NFKC", text)  # what stood apart only by an invisible character composes now
    if _HINT.search(text):
        text = _DEFANGED.sub(lambda match: _REFANGED[match.lastgroup or ""], text)
    return text


def _fold(char: str) -> str:
    if char.isascii():
        return char
    if char in _DOTS:
        return "."
    if char in _DASHES:
        return "-"
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    return str(unicodedata.decimal(char)) if category == "Nd" else char

"""The pattern pack: identifiers in free text, found by one compiled expression and confirmed where a form has a check.

Every part of the expression is bounded, or possessive and tried only where its run of characters begins, so that the
time grows with the length of a line and not with its square. Where a form is ambiguous the text counts as an
identifier: a version number that is replaced does less harm than an address that is published.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from stdnum import iban, luhn

from privacy.sanitize.kinds import TOKEN, Kind

_OCTET = r"0{0,2}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}(?!\d|\.\d{{1,5}}\.\d)"
_FILE_SUFFIX = (
    r"(?:aspx?|b(?:ak|at|in|mp)|c(?:ab|fg|gi|lass|md|onf|pp|ss|sv)|d(?:at|ll|mp|ocx?|otx)|evtx?|exe|gif|gz|hta|html?"
    r"|ic[os]|in[fi]|iso|jar|jpe?g|jsp?|json|lnk|lo(?:ck|g)|ms[iu]|mui|ocx|pcap(?:ng)?|p(?:db|df|hp|id|ng|ptx?|yc)"
    r"|rar|reg|rtf|s(?:vg|ys)|t(?:ar|mp|oml|xt)|vbs|war|wsf|xls[mx]?|xml|ya?ml)(?![\w-])"
)
_TOP_LEVEL = rf"(?!{_FILE_SUFFIX})(?:xn--[a-z0-9-]{{2,59}}|[^\W\d_]{{2,24}})(?![\w-]|\.{_FILE_SUFFIX})"
_NO_DOMAIN = r"(?:AUTHORITY|BUILTIN|SERVICE|Files|Host|Manager|HK[A-Z_]{2,30}|REGISTRY|MACHINE|Device|SystemRoot)\\"
_NOT_A_PERSON = r"(?:Public|Default|Default User|All Users)(?!\w)"
_USER_LABEL = r"(?:(?:subject|target)?user(?:[ _-]?name)?|account[ _-]?name)"

# At the start of a word. The name of a group is its kind, up to the first underscore.
_AT_WORD = (
    r"(?P<email>(?<![\w.+-])[\w.+-]++@(?:[\w-]{1,63}\.){1,8}[^\W\d_](?:[\w-]{0,61}\w)?)",
    r"(?P<mac>(?:[0-9a-f]{2}(?P<_gap>[:-])(?:[0-9a-f]{2}(?P=_gap)){4}[0-9a-f]{2}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2})"
    r"(?![\w:-]))",
    r"(?P<user_sid>S-1-(?:5-21|12-1)(?:-\d{1,10}){3,5})",
    rf"{_USER_LABEL}[\"']?\s{{0,8}}[=:]\s{{0,8}}[\"']?(?P<user_label>[^\s\"'<>,;()\[\]{{}}]{{1,64}})",
    rf"(?P<user_domain>(?<![\\.-])(?!{_NO_DOMAIN})[a-z][\w.-]{{0,30}}\\(?![\w.$-]{{0,60}}\.{_FILE_SUFFIX})"
    r"\w(?:[\w.$-]{0,62}[\w$])?+(?![\\\w]))",
    rf"(?P<host>(?:[\w-]{{1,63}}\.){{1,10}}{_TOP_LEVEL})",
    rf"(?P<ipv4>(?<!\d\.)(?<!version[ :=]){_IPV4})",
    r"(?P<hash>(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?!\w))",
    rf"(?P<ipv6>(?<!:)(?:[0-9a-f]{{0,4}}:){{2,7}}(?:{_IPV4}|[0-9a-f]{{0,4}})(?!\w)(?:%[\w-]{{1,16}})?)",
    r"(?:tel|phone|mobile|fax)\.?[:=]\s{0,3}(?P<phone_label>[+\d(][\d ()./-]{5,20}\d)",
    r"(?P<phone>\+[1-9](?:[ ()./-]{0,2}\d){7,14}(?!\d)|00[1-9]\d{0,2}[ /-](?:[ ()./-]{0,2}\d){6,12}(?!\w)"
    r"|\(?\d{3}\)?[-. ]{1,2}\d{3}[-. ]\d{4}(?!\w))",
    r"(?P<iban>[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?(?!\w))",
    r"(?P<card>[2-6]\d{3}(?:[ -]?\d){9,15}(?!\w))",
)
_ANYWHERE = (
    rf"[\\/]{{1,2}}(?:Users|home|Documents and Settings)[\\/]{{1,2}}(?!{_NOT_A_PERSON})"
    r"(?P<path>[^\\/:*?\"<>|\r\n]{1,64}(?=\\)|[^\\/:*?\"<>|\s,;]{1,64})",
    r"\\\\(?P<host_share>[\w-]{1,63})(?=\\)",
    rf"(?P<ipv4_glued>(?<=[a-z_])(?<!v){_IPV4})",
)
_FORMS = "|".join(_AT_WORD)
_PACK = re.compile(rf"{TOKEN.pattern}|{'|'.join(_ANYWHERE)}|(?<!\w)(?:{_FORMS})", re.IGNORECASE)
_NEXT = re.compile(_FORMS, re.IGNORECASE)
"""What may follow an identifier without anything between the two."""
_SUSPECT = re.compile(r"[\d@.:\\/=]|[a-fA-F]{32}")
"""Text without any of these holds none of the forms."""


@dataclass(frozen=True)
class Found:
    """One identifier: `text[start:end]`."""

    kind: Kind
    start: int
    end: int


def find(text: str) -> Iterator[Found]:
    """Identifiers in a text that is normalised already, from left to right; pseudonyms are passed over."""
    if not _SUSPECT.search(text):
        return
    match = _PACK.search(text)
    while match:
        position = match.end()
        found = _confirmed(match)
        if found:
            position = found.end
            yield found
        elif match.lastgroup:
            position = match.start() + 1
        match = (found and _NEXT.match(text, position)) or _PACK.search(text, position)


def _confirmed(match: re.Match[str]) -> Found | None:
    """The identifier that a match begins with; None for a pseudonym, and where the form's check fails."""
    if match.lastgroup is None:
        return None
    kind = Kind(match.lastgroup.partition("_")[0])
    start, end = match.span(match.lastgroup)
    length = _CONFIRMED[kind](match[match.lastgroup]) if kind in _CONFIRMED else end - start
    return Found(kind, start, start + length) if length else None


def _ipv6_length(text: str) -> int:
    for candidate in (text, text.rstrip(":")):
        try:
            address = IPv6Address(candidate.partition("%")[0])
        except ValueError:
            continue
        return len(candidate) if int(address) else 0
    return 0


def _iban_length(text: str) -> int:
    ends = (end for end in range(len(text), 14, -1) if text[end : end + 1] in {"", " "})
    return next((end for end in ends if iban.is_valid(text[:end])), 0)


def _card_length(text: str) -> int:
    ends = (end for end in range(len(text), 12, -1) if not text[end : end + 1].isdigit() and text[end - 1].isdigit())
    return next((end for end in ends if _is_card("".join(filter(str.isdigit, text[:end])))), 0)


def _is_card(digits: str) -> bool:
    return len(digits) >= 13 and bool(luhn.is_valid(digits))


_CONFIRMED: Mapping[Kind, Callable[[str], int]] = {
    Kind.IPV6: _ipv6_length,
    Kind.IBAN: _iban_length,
    Kind.CARD: _card_length,
}
"""Length of the identifier that a match begins with; 0 where it is none."""

"""What the pattern pack takes for an identifier, and what it leaves alone."""

from __future__ import annotations

import time

import pytest

from privacy.sanitize.patterns import find
from privacy.sanitize.text import normalise
from tests.privacy.sanitize.keys import SANITIZER

FOUND = [
    ("mail alice.b+x@corp.example now", ["email:alice.b+x@corp.example"]),
    ("<alice@corp.example>", ["email:alice@corp.example"]),
    ("alice%40corp.example", ["email:alice@corp.example"]),
    ("10.0.0.1", ["ipv4:10.0.0.1"]),
    ("src=10.0.0.1:8080", ["ipv4:10.0.0.1"]),
    ("from 10.0.0.1.", ["ipv4:10.0.0.1"]),
    ("10.0.0.1.443 > 10.0.0.2.53", ["ipv4:10.0.0.1", "ipv4:10.0.0.2"]),
    ("ip10.0.0.1", ["ipv4:10.0.0.1"]),
    ("010.000.000.001", ["ipv4:010.000.000.001"]),
    ("10.0.0.0/24", ["ipv4:10.0.0.0"]),
    ("[2001:db8::1]:443", ["ipv6:2001:db8::1"]),
    ("from 2001:db8::1: refused", ["ipv6:2001:db8::1"]),
    ("fe80:0:0:0:90e:17af:263c:5209", ["ipv6:fe80:0:0:0:90e:17af:263c:5209"]),
    ("fe80::1%eth0 up", ["ipv6:fe80::1%eth0"]),
    ("::ffff:10.0.0.1", ["ipv6:::ffff:10.0.0.1"]),
    ("00:1A:2b:3c:4d:5e", ["mac:00:1A:2b:3c:4d:5e"]),
    ("00-1a-2b-3c-4d-5e", ["mac:00-1a-2b-3c-4d-5e"]),
    ("001a.2b3c.4d5e", ["mac:001a.2b3c.4d5e"]),
    ("https://mail.corp.example/inbox", ["host:mail.corp.example"]),
    ("WS-5.theshire.local", ["host:WS-5.theshire.local"]),
    ("b\u00fccher.example", ["host:b\u00fccher.example"]),
    ("xn--bcher-kva.example", ["host:xn--bcher-kva.example"]),
    ("\\\\FILESRV\\share", ["host:FILESRV"]),
    ("user CORP\\alice logged on", ["user:CORP\\alice"]),
    ("user=alice, id 5", ["user:alice"]),
    ("Account Name:\t\twardog", ["user:wardog"]),
    ("S-1-5-21-3940915590-64593676-1414006259-500", ["user:S-1-5-21-3940915590-64593676-1414006259-500"]),
    ("C:\\Users\\alice\\a.exe", ["path:alice"]),
    ("C:\\Users\\Alice Smith\\a.exe", ["path:Alice Smith"]),
    ("C:\\\\Users\\\\alice\\\\a.exe", ["path:alice"]),
    ("/home/alice/.ssh/id", ["path:alice"]),
    ("/Users/alice", ["path:alice"]),
    ("d41d8cd98f00b204e9800998ecf8427e", ["hash:d41d8cd98f00b204e9800998ecf8427e"]),
    ("SHA1=A330EDE32DFA03AE6808EE7FB6916D8DEB8F5DDE,x", ["hash:A330EDE32DFA03AE6808EE7FB6916D8DEB8F5DDE"]),
    ("a" * 64, ["hash:" + "a" * 64]),
    ("IBAN DE89 3704 0044 0532 0130 00 paid", ["iban:DE89 3704 0044 0532 0130 00"]),
    ("gb82west12345698765432", ["iban:gb82west12345698765432"]),
    ("call +49 30 1234567 now", ["phone:+49 30 1234567"]),
    ("0049 30 1234567", ["phone:0049 30 1234567"]),
    ("(555) 123-4567", ["phone:(555) 123-4567"]),
    ("tel: 030 1234567", ["phone:030 1234567"]),
    ("card 4111 1111 1111 1111 12/25", ["card:4111 1111 1111 1111"]),
    ("5500005555555559", ["card:5500005555555559"]),
]

LEFT_ALONE = [
    "tcp",
    "ET SCAN Potential SSH Scan",
    "v1.2.3.4",
    "version 1.2.3.4",
    "Chrome/90.0.4430.212",
    "10.0.18362.959 (WinBuild.160101.0800)",
    "1.3.6.1.4.1.311.2.1",
    "300.1.2.3",
    "2021-06-06T15:57:37.272281+0200",
    "12:34:56",
    "550e8400-e29b-41d4-a716-446655440000",
    "{54849625-5478-4994-a5ba-3e3b0328c30d}",
    "ntdll.dll",
    "C:\\Windows\\System32\\drivers\\etc\\a.sys",
    "C:\\Program Files\\Common Files\\x.exe",
    "C:\\Users\\Public\\x.exe",
    "NT AUTHORITY\\SYSTEM",
    "HKLM\\SECURITY",
    "S-1-5-18",
    "std::vector",
    "Foo::Bar",
    "4111 1111 1111 1112",
    "DE88370400440532013000",
    "1623000000000000",
    "d41d8cd98f00b204e9800998ecf8427",
    "index.php",
    "0x8020000000000000",
    "<ipv4:0123456789ab> and <ipv4:93.8.240.17> and <user:0123456789ab>",
]

DISGUISED = [
    ("\uff11\uff10.\uff10.\uff10.\uff11", "ipv4:10.0.0.1"),
    ("\u0661\u0660.\u0660.\u0660.\u0661", "ipv4:10.0.0.1"),
    ("10\u30020\u30020\u30021", "ipv4:10.0.0.1"),
    ("10\u20240\uff0e0\uff611", "ipv4:10.0.0.1"),
    ("10.0\u200b.0.1", "ipv4:10.0.0.1"),
    ("al\u00adice@corp.example", "email:alice@corp.example"),
    ("\u202ealice@corp.example", "email:alice@corp.example"),
    ("alice\uff20corp.example", "email:alice@corp.example"),
    ("hxxps://evil[.]example", "host:evil.example"),
    ("hxxp[://]evil(dot)example", "host:evil.example"),
    ("evil[[.]]example", "host:evil.example"),
    ("10[.]0[.]0[.]1", "ipv4:10.0.0.1"),
    ("alice(at)corp{.}example", "email:alice@corp.example"),
    ("alice [at] corp [dot] example", "email:alice@corp.example"),
    ("2001[:]db8::1", "ipv6:2001:db8::1"),
    ("00\u20101a\u20102b\u20103c\u20104d\u20105e", "mac:00-1a-2b-3c-4d-5e"),
]


def found_in(text: str) -> list[str]:
    normal = normalise(text)
    return [f"{found.kind}:{normal[found.start : found.end]}" for found in find(normal)]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_identifiers_are_found_whole(text: str, expected: list[str]) -> None:
    assert found_in(text) == expected


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_like_an_identifier_is_left_alone(text: str) -> None:
    assert found_in(text) == []


@pytest.mark.parametrize(("text", "expected"), DISGUISED)
def test_disguises_are_seen_through(text: str, expected: str) -> None:
    assert found_in(text) == [expected]
    assert normalise(normalise(text)) == normalise(text)


REPEATED = (
    "a",
    "a.",
    "a-",
    "1",
    "aa:",
    "0:",
    "1.2.3.4.",
    "AB12 ",
    "4111 ",
    "x@",
    "a\\",
    "\\",
    "/home/",
    "user:",
    "+1 ",
)
NESTED = ("(", "[.", "[ ", "[[[[.", "%", "<ipv4:", "a@a.", "tel:1 ", "DE89370400440532 ")
GLUED = ("S-1-5-21-1-2-3", "1.1.1.1", "a@b.cd", "/home/x", "(.)", "\uff11\u200b", "CORP\\a")


@pytest.mark.parametrize("part", REPEATED + NESTED + GLUED)
def test_the_time_grows_with_the_length_and_not_with_its_square(part: str) -> None:
    def seconds(length: int) -> float:
        text = part * (length // len(part))
        started = time.process_time()
        SANITIZER.text(text)
        return time.process_time() - started

    short, long = min(seconds(12_500) for _ in range(2)), seconds(100_000)
    assert long < 0.3 + 24 * short  # a square would be 64 times

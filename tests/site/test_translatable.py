"""No page says a word that Django's translation framework does not see."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings

FOLDERS = ("dashboard", "operators", "registration")
TEMPLATES = [
    path
    for path in sorted(Path(settings.BASE_DIR, "templates").rglob("*.html"))
    if path.parent.name == "templates" or any(folder in path.parts for folder in FOLDERS)
]
# Names of the product, of formats and of models, and single letters, are the same in every language.
UNTRANSLATED = re.compile(r"\b(flxdr|UTC|STIX|JSON|CSV|API|edge-classifier:[0-9]|[A-Za-z])\b")
SPOKEN = ("aria-label", "title", "placeholder", "alt")


class Words(HTMLParser):
    """What a reader reads or hears of a template whose translated parts and variables were taken out."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._code = 0
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._code += tag in ("code", "pre")
        self.found += [value for name, value in attributes if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre")

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.found.append(data)


def words(source: str) -> list[str]:
    source = re.sub(r"\{#.*?#\}", "", source, flags=re.S)
    source = re.sub(r"\{% comment %\}.*?\{% endcomment %\}", "", source, flags=re.S)
    source = re.sub(r"\{% blocktrans(?:late)?\b.*?\{% endblocktrans(?:late)? %\}", "", source, flags=re.S)
    source = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.S)
    return [text.strip() for text in Words(source).found if re.search("[A-Za-z]", UNTRANSLATED.sub("", text))]


def test_templates_are_looked_at() -> None:
    assert len(TEMPLATES) > 30
    assert words("<p>Hello {{ name }}</p>") == ["Hello"]
    assert words('<p title="Hi">{% translate "Hello" %}</p>') == ["Hi"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_word_can_be_translated(template: Path) -> None:
    assert words(template.read_text()) == []

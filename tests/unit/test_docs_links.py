"""Links between the documents lead to files and headings that exist; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs._ext.generated_reference import PARTS

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference" / "generated"
DOCUMENTS = sorted(
    each
    for pattern in ("*.md", "docs/**/*.md", "images/*.md", "benchmarks/*.md")
    for each in ROOT.glob(pattern)
    if GENERATED not in each.parents
)
_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?: \"[^\"]*\")?\)")


def prose(document: Path) -> str:
    """Return a document without its blocks of code."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """Return what a link to a heading of a document may name, as GitHub and MyST make it."""
    found = set()
    text = document.read_text(encoding="utf-8")
    parts = re.findall(r"^```\{include\} generated/([\w-]+)\.md$", text, re.MULTILINE)
    whole = "\n".join([prose(document), *(PARTS[part]() for part in parts)])
    for heading in re.findall(r"^#{1,6} (.+)$", whole, re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-"))
    return found | set(re.findall(r"^\(([\w-]+)\)=$", prose(document), re.MULTILINE))


def links(document: Path) -> Iterator[str]:
    """Yield the links of a document that lead to files of the repository."""
    for target in _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(document))):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in links(document):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), target


def test_other_files_name_documents_that_exist() -> None:
    named = re.compile(r"\bdocs/[\w/-]+\.md\b")
    sources = [
        each
        for folder in ("panneuro_hub", "deploy", "tests", "images", "examples", "benchmarks")
        for each in (ROOT / folder).rglob("*")
        if each.suffix in (".py", ".yaml", ".yml", ".html", ".md") and each.is_file()
    ]
    found = [(each, name) for each in sources for name in named.findall(each.read_text("utf-8"))]
    assert found
    for source, name in found:
        assert (ROOT / name).is_file(), f"{source}: {name}"


def test_every_picture_is_shown_somewhere() -> None:
    shown = "".join(each.read_text(encoding="utf-8") for each in DOCUMENTS)
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.name in shown

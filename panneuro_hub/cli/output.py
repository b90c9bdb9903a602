"""What commands print: aligned, short, nothing from outside alive in a terminal."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click

_LEAST = 40


def printable(text: str) -> str:
    """Text whose control and invisible characters are written out as escapes."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def one_line(text: str) -> str:
    """Text in one line."""
    return printable(" ".join(text.split()))


def heading(text: str) -> None:
    """Print a heading, bold on a terminal."""
    click.echo(click.style(printable(text), bold=True))


def rows(table: Iterable[Sequence[str]], indent: int = 2) -> None:
    """Print rows with aligned columns; the last column is prose.

    On a terminal too narrow for it the prose goes below, wrapped; elsewhere each
    row is one line, so that other programs can read it.
    """
    cells = [[printable(cell) for cell in row] for row in table]
    if not cells:
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    for *head, prose in cells:
        begin = " " * indent + "  ".join(
            cell.ljust(width) for cell, width in zip(head, widths, strict=True)
        )
        for line in _laid_out(begin, prose, indent, _width()):
            click.echo(line)


def prose(text: str, indent: int = 2) -> None:
    """Print a sentence, wrapped on a terminal."""
    begin = " " * indent
    width = _width() or len(begin) + len(text) + 1
    for line in textwrap.wrap(
        printable(text), width, initial_indent=begin, subsequent_indent=begin
    ):
        click.echo(line)


def as_json(document: Any) -> None:
    """Print a JSON document, in ASCII."""
    click.echo(json.dumps(document, indent=2))


def _width() -> int | None:
    """The width of the terminal, in characters; `None` where it is none."""
    return max(shutil.get_terminal_size().columns, _LEAST) if sys.stdout.isatty() else None


def _laid_out(begin: str, prose: str, indent: int, width: int | None) -> list[str]:
    whole = f"{begin}  {prose}".rstrip()
    if width is None or len(whole) <= width:
        return [whole]
    below = " " * (indent + 4)
    wrapped = textwrap.wrap(prose, width, initial_indent=below, subsequent_indent=below)
    return [begin.rstrip(), *wrapped]

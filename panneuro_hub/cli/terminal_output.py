"""What commands print: aligned, short, nothing from outside alive in a terminal."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click

_SMALLEST_WIDTH = 40


def escape_controls(text: str) -> str:
    """Text whose control and invisible characters are written out as escapes."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def join_lines(text: str) -> str:
    """Text in one line."""
    return escape_controls(" ".join(text.split()))


def print_heading(text: str) -> None:
    """Print a heading, bold on a terminal."""
    click.echo(click.style(escape_controls(text), bold=True))


def print_table(table: Iterable[Sequence[str]], indent: int = 2) -> None:
    """Print rows with aligned columns; the last column is prose.

    On a terminal too narrow for it the prose goes below, wrapped; elsewhere each
    row is one line, so that other programs can read it.
    """
    cells = [[escape_controls(cell) for cell in row] for row in table]
    if not cells:
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    for *head, print_sentence in cells:
        begin = " " * indent + "  ".join(
            cell.ljust(width) for cell, width in zip(head, widths, strict=True)
        )
        for line in _wrap_lines(begin, print_sentence, indent, _measure_width()):
            click.echo(line)


def print_sentence(text: str, indent: int = 2) -> None:
    """Print a sentence, wrapped on a terminal."""
    begin = " " * indent
    width = _measure_width() or len(begin) + len(text) + 1
    for line in textwrap.wrap(
        escape_controls(text), width, initial_indent=begin, subsequent_indent=begin
    ):
        click.echo(line)


def print_json(document: Any) -> None:
    """Print a JSON document, in ASCII."""
    click.echo(json.dumps(document, indent=2))


def _measure_width() -> int | None:
    """The width of the terminal, in characters; `None` where it is none."""
    return max(shutil.get_terminal_size().columns, _SMALLEST_WIDTH) if sys.stdout.isatty() else None


def _wrap_lines(begin: str, text: str, indent: int, width: int | None) -> list[str]:
    whole = f"{begin}  {text}".rstrip()
    if width is None or len(whole) <= width:
        return [whole]
    below = " " * (indent + 4)
    wrapped = textwrap.wrap(text, width, initial_indent=below, subsequent_indent=below)
    return [begin.rstrip(), *wrapped]

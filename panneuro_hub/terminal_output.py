"""Print tables, sentences and JSON for both commands, with control characters escaped.

Text from outside could hold escape sequences, which a terminal would obey.
"""

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
    """Return a text with its control and invisible characters written out as escapes."""
    return "".join(map(_escape_character, text))


def escape_lines(text: str) -> str:
    """Return a text of several lines with its other control characters written out as escapes."""
    return "\n".join(map(escape_controls, text.split("\n")))


def join_lines(text: str) -> str:
    """Return a text in one line, with its control characters escaped."""
    return escape_controls(" ".join(text.split()))


def print_heading(text: str) -> None:
    """Print a heading, bold on a terminal."""
    click.echo(click.style(escape_controls(text), bold=True))


def print_table(table: Iterable[Sequence[str]], indent: int = 2) -> None:
    """Print rows with aligned columns; the last column is prose.

    If the terminal is too narrow, the prose is wrapped below its row. If the output is not
    a terminal, each row is one line, so that other programs can read it.
    """
    cells = [[escape_controls(cell) for cell in row] for row in table]
    if not cells:
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    for *head, sentence in cells:
        begin = " " * indent + "  ".join(
            cell.ljust(width) for cell, width in zip(head, widths, strict=True)
        )
        for line in _wrap_lines(begin, sentence, indent, _measure_width()):
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


def _escape_character(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _measure_width() -> int | None:
    """Return the width of the terminal in characters, or `None` if the output is elsewhere."""
    return max(shutil.get_terminal_size().columns, _SMALLEST_WIDTH) if sys.stdout.isatty() else None


def _wrap_lines(begin: str, text: str, indent: int, width: int | None) -> list[str]:
    whole = f"{begin}  {text}".rstrip()
    if width is None or len(whole) <= width:
        return [whole]
    below = " " * (indent + 4)
    wrapped = textwrap.wrap(text, width, initial_indent=below, subsequent_indent=below)
    return [begin.rstrip(), *wrapped]

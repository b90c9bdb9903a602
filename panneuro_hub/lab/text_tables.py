"""Small tables, as text and as HTML; what stands in them may come from anybody."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

_LONGEST = 60  # characters of a cell

TableRow = Mapping[str, str]


def clean_line(text: str) -> str:
    """`text` as one printable line, shortened where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def format_table(rows: Sequence[TableRow], indent: int = 0) -> list[str]:
    """Lines of text, in columns; nothing where there are no rows."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [names, *([clean_line(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return [
        " " * indent
        + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def format_html_table(rows: Sequence[TableRow]) -> str:
    """An HTML table; whatever stands in the cells is text."""
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(clean_line(cell))}</td>' for cell in row.values())}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

"""Read notebook files, as far as pages, listings and searches need them.

Source: The Jupyter Notebook Format, version 4 (nbformat documentation, "The Notebook
file format"). The content comes from outside, and none of it is run.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from panneuro_hub.catalog.json_fields import (
    JsonFields,
    MalformedRecordError,
    is_byte_count,
    is_visible,
    parse_json_object,
)
from panneuro_hub.catalog.notebook_records import LARGEST_NOTEBOOK, LARGEST_PREVIEW
from panneuro_hub.catalog.png import strip_png

_FORMAT = 4
_MARKS_OF_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAVE_AS_UTF8 = "save it as UTF-8 without a byte order mark"
_KINDS = ("markdown", "code", "raw")
_LONGEST_TITLE = 200  # characters
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t#]*")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}|<[^<>]*>")


@dataclass(frozen=True)
class NotebookCell:
    """A cell.

    Parameters
    ----------
    kind : str
        ``markdown``, ``code`` or ``raw``.
    source : str
    outputs : tuple of mapping
        As they are in the file; of a cell of code.
    attachments : mapping
        As they are in the file.
    count : int or None
        The number of its last run.
    """

    kind: str
    source: str
    outputs: tuple[Mapping[str, Any], ...] = ()
    attachments: Mapping[str, Any] | None = None
    count: int | None = None


@dataclass(frozen=True)
class NotebookFile:
    """A notebook.

    Parameters
    ----------
    cells : tuple of NotebookCell
    language, language_version : str
        Of its kernel, such as ``python`` and ``3.12.4``; ``""`` if not stated.
    """

    cells: tuple[NotebookCell, ...]
    language: str = ""
    language_version: str = ""

    @classmethod
    def decode(cls, data: bytes) -> NotebookFile:
        """Read a file.

        Raises
        ------
        MalformedRecordError
            If JupyterLab cannot open it, or if its format is another one, or if it is too large.
        """
        if len(data) > LARGEST_NOTEBOOK:
            raise MalformedRecordError(
                f"the notebook has {len(data)} bytes, and {LARGEST_NOTEBOOK} is the most that one "
                "can have; clear outputs that are large (Edit, Clear Outputs of All Cells)"
            )
        document = parse_json_object(_decode_text(data), "the notebook")
        read = JsonFields(document, "the notebook")
        found = document.get("nbformat")
        if found != _FORMAT or isinstance(found, bool):
            raise read.wrong(
                "nbformat", f"must be {_FORMAT}; open and save it in JupyterLab, which converts it"
            )
        metadata = _read_mapping(document.get("metadata"))
        language = _read_mapping(metadata.get("language_info"))
        kernel = _read_mapping(metadata.get("kernelspec"))
        return cls(
            tuple(
                _read_cell(one, read, number) for number, one in enumerate(read.objects("cells"), 1)
            ),
            _read_word(language.get("name")) or _read_word(kernel.get("language")),
            _read_word(language.get("version")),
        )

    @property
    def title(self) -> str:
        """Return the first heading without its markup, or ``""`` if there is none."""
        for cell in self.cells:
            if cell.kind == "markdown":
                for heading in _list_headings(cell.source):
                    return heading
        return ""

    def picture(self) -> bytes | None:
        """Return the first picture of an output, as a PNG that can be a preview."""
        for cell in self.cells:
            for output in cell.outputs:
                found = _decode_png(_read_mapping(output.get("data")).get("image/png"))
                if found is not None:
                    return found
        return None


def find_open_problem(data: bytes) -> str | None:
    """Return the reason why JupyterLab cannot open this content, or `None`.

    `NotebookFile.decode`, which the content must have passed, is more lenient: it reads what others
    shared as far as it can.
    """
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "its text has half of a character in it (a lone surrogate)"
    except ValueError as problem:
        return str(problem)
    if not isinstance(document.get("metadata"), dict):
        return "it has no metadata"
    if not is_byte_count(document.get("nbformat_minor", 0)):
        return "its nbformat_minor is not a whole number"
    for number, cell in enumerate(document["cells"], 1):
        if not isinstance(cell.get("metadata"), dict):
            return f"cell {number} has no metadata"
        outputs = cell.get("outputs", [])
        if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
            return f"the outputs of cell {number} are not a list of objects"
    return None


def _refuse_constant(constant: str) -> None:
    # Python reads and writes it; a browser does not.
    raise ValueError(f"it has the number {constant}, which JSON does not have")


def join_text(value: object) -> str | None:
    """Return a text of the format, which may be a list of lines; `None` if it is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return None


def _decode_text(data: bytes) -> str:
    """Return the text of a file; JSON that is sent to others is UTF-8 without a mark (RFC 8259)."""
    if data.startswith(_MARKS_OF_UTF16) or b"\0" in data[:4]:
        raise MalformedRecordError(
            f"the notebook is in UTF-16, and must be in UTF-8; {_SAVE_AS_UTF8}"
        )
    if data.startswith(codecs.BOM_UTF8):
        raise MalformedRecordError(
            "the notebook begins with a byte order mark, which Jupyter cannot read; "
            f"{_SAVE_AS_UTF8}"
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedRecordError(f"the notebook is not in UTF-8; {_SAVE_AS_UTF8}") from None


def _read_cell(document: Any, read: JsonFields, number: int) -> NotebookCell:
    cell = _read_mapping(document)
    kind, source = cell.get("cell_type"), join_text(cell.get("source"))
    if kind not in _KINDS or source is None:
        raise read.wrong("cells", f"has an entry at position {number} that is not a cell")
    outputs = cell.get("outputs") if kind == "code" else None
    count = cell.get("execution_count")
    return NotebookCell(
        str(kind),
        source,
        tuple(one for one in outputs if isinstance(one, dict)) if isinstance(outputs, list) else (),
        _read_mapping(cell.get("attachments")),
        count if isinstance(count, int) and not isinstance(count, bool) else None,
    )


def _list_headings(source: str) -> Iterator[str]:
    fenced = ""
    before = ""
    for line in source.splitlines():
        fence = _FENCE.match(line)
        if fence:
            fenced = "" if fenced == fence[1] else fenced or fence[1]
            before = ""
            continue
        if fenced:
            continue
        heading = _HEADING.fullmatch(line)
        if heading is None and _UNDERLINE.fullmatch(line) and before.strip():
            text = _strip_marks(before)
        else:
            text = _strip_marks(heading[1]) if heading else ""
        before = line
        if text:
            yield text


def _strip_marks(heading: str) -> str:
    text = _MARKS.sub("", _LINK.sub(r"\1", heading[: 10 * _LONGEST_TITLE]))
    shown = "".join(filter(is_visible, text))
    return " ".join(shown.split())[:_LONGEST_TITLE]


def _decode_png(value: object) -> bytes | None:
    text = join_text(value)
    if not text or len(text) > 4 * LARGEST_PREVIEW:
        return None
    try:
        return strip_png(base64.b64decode(text), LARGEST_PREVIEW)
    except (binascii.Error, ValueError):
        return None


def _read_word(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 100 and value.isprintable() else ""


def _read_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

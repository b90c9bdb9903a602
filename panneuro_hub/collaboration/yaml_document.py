"""Read YAML as plain data with the line of each key.

A file may contain only what a collaboration file needs: mappings, lists and scalars. Tags,
anchors, aliases and second documents are refused, so that a file can neither create objects nor
expand; size, depth and count are bounded.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from panneuro_hub.collaboration.message_words import Finding, KeyPath, format_key_path, quote_value
from panneuro_hub.collaboration.yaml_scalars import resolve_scalar
from panneuro_hub.collaboration.yaml_syntax import describe_syntax_error
from panneuro_hub.errors import CollaborationError, FileProblem

MAX_FILE_BYTES = 1 << 20  # bytes
_DEEPEST = 20
_MOST_VALUES = 20_000
_LONGEST_TEXT = 4096  # characters
# "\U00110000" and above, for which the parser raises Python's own exception.
_NO_CHARACTER = re.compile(r"\\U(?!0010|000)[0-9A-Fa-f]{8}")
_NOTHING_THERE = (
    "nothing is written here; write a value, or take the key out (an empty list is [], "
    "an empty text '')"
)


@dataclass(frozen=True)
class YamlDocument:
    """A YAML file as plain data, with the line of every key.

    Parameters
    ----------
    file : str
        The file, as the user named it.
    data : dict
        Mappings, lists, texts, numbers, booleans and dates; keys are texts as written.
    lines : mapping of key path to int
        Line of each key and list item, counted from 1.
    sources : mapping of key path to str
        The text of numbers, booleans and dates, as written.
    findings : tuple of (key path, message)
        Problems that reading found, such as repeated keys.
    """

    file: str
    data: dict[str, Any]
    lines: Mapping[KeyPath, int]
    sources: Mapping[KeyPath, str]
    findings: tuple[Finding, ...] = ()

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, counted from 1; if it is missing, the line of its parent."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: KeyPath, message: str) -> FileProblem:
        """Return a problem at `path`."""
        return FileProblem(self.file, self.line(path), format_key_path(path), message)


class _UnreadableError(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, line: int, message: str, path: KeyPath = ()) -> None:
        self.line, self.message, self.path = line, message, path
        super().__init__(message)


def read_yaml(path: str | os.PathLike[str]) -> YamlDocument:
    """Read a YAML file.

    Parameters
    ----------
    path : str or path-like
        The file; at most 1 MiB of UTF-8.

    Raises
    ------
    CollaborationError
        If it cannot be read, is not YAML, is empty, or is not a mapping.
    """
    file = os.fspath(path)
    return parse_yaml(read_yaml_text(file), file)


def read_yaml_text(path: str | os.PathLike[str]) -> str:
    """Return a file's text; as `read_yaml`, without parsing it.

    Raises
    ------
    CollaborationError
        If it cannot be read, is too large, or is not UTF-8.
    """
    file = os.fspath(path)
    try:
        return _text(file)
    except _UnreadableError as trouble:
        problem = FileProblem(file, trouble.line, format_key_path(trouble.path), trouble.message)
        raise CollaborationError((problem,)) from trouble.__cause__


def parse_yaml(text: str, file: str) -> YamlDocument:
    """Read YAML text; as `read_yaml`, and `file` is the name for messages.

    Raises
    ------
    CollaborationError
        If it is not YAML, is empty, or is not a mapping.
    """
    builder = _DocumentBuilder()
    try:
        for event in _events(text):
            builder.take(event)
        data = builder.result()
    except _UnreadableError as trouble:
        problem = FileProblem(file, trouble.line, format_key_path(trouble.path), trouble.message)
        raise CollaborationError((problem,)) from trouble.__cause__
    return YamlDocument(file, data, builder.lines, builder.sources, tuple(builder.findings))


def _text(file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "the system refused").lower()
        raise _UnreadableError(1, f"cannot read this file: {reason}") from error
    except ValueError as error:  # a zero byte in the name
        raise _UnreadableError(1, "cannot read this file: this is not a file name") from error
    if len(content) > MAX_FILE_BYTES:
        raise _UnreadableError(1, "this file is larger than 1 MiB; a collaboration file is smaller")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _UnreadableError(
            1, f"this file is not UTF-8 text, as its line {line} shows; save it as UTF-8"
        ) from error


def _events(text: str) -> Iterator[events.Event]:
    last_line = text.count("\n") + 1
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        line, message = describe_syntax_error(error)
        raise _UnreadableError(min(line, last_line), message) from error
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        raise _UnreadableError(line, "a character stands here that YAML does not allow") from error
    except (ValueError, OverflowError) as error:
        found = _NO_CHARACTER.search(text)
        line = text.count("\n", 0, found.start() if found else 0) + 1
        raise _UnreadableError(
            line, "an escape in double quotes stands for no character"
        ) from error


@dataclass
class _OpenContainer:
    """A mapping or list that is not complete yet; `key` waits for its value."""

    path: KeyPath
    container: dict[str, Any] | list[Any]
    key: str | None = None


@dataclass
class _DocumentBuilder:
    """Makes plain data of parser events, without recursion."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    sources: dict[KeyPath, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _open: list[_OpenContainer] = field(default_factory=list)
    _root: Any = None
    _documents: int = 0
    _values: int = 0

    def take(self, event: events.Event) -> None:
        """Take the next event of the parser."""
        line = event.start_mark.line + 1
        if isinstance(event, events.DocumentStartEvent):
            self._document(event, line)
        elif isinstance(event, events.NodeEvent):
            self._node(event, line)
        elif isinstance(event, events.CollectionEndEvent):
            self._open.pop()

    def result(self) -> dict[str, Any]:
        """Return the whole document."""
        if self._root is None:
            raise _UnreadableError(
                1,
                "this file is empty; a collaboration needs name, title, stores, teams, projects "
                "and profiles",
            )
        if not isinstance(self._root, dict):
            raise _UnreadableError(
                1, "a collaboration file begins with a key and a colon, such as 'name: my-circuits'"
            )
        return self._root

    def _document(self, event: events.DocumentStartEvent, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _UnreadableError(line, "a second document begins here; one file holds one")
        if event.version or event.tags:
            raise _UnreadableError(
                1, "take out the line that begins with '%'; it is not needed here"
            )

    def _node(self, event: events.NodeEvent, line: int) -> None:
        self._values += 1
        self._refuse_strange(event, line)
        parent = self._open[-1] if self._open else None
        if parent and isinstance(parent.container, dict) and parent.key is None:
            self._key(parent, event, line)
            return
        path = self._path(parent, line)
        value = self._value(path, event, line)
        self._put(parent, value)
        if isinstance(value, dict | list):
            self._open.append(_OpenContainer(path, value))

    def _refuse_strange(self, event: events.NodeEvent, line: int) -> None:
        path = self._here()
        if isinstance(event, events.AliasEvent):
            raise _UnreadableError(
                line,
                "'*' begins an alias, which is not used here; for every team write \"*\"",
                path,
            )
        if event.anchor is not None:
            raise _UnreadableError(
                line, "'&' begins an anchor, which is not used here; use quotes", path
            )
        if getattr(event, "tag", None) is not None:
            raise _UnreadableError(
                line, "'!' begins a tag, which is not used here; use quotes", path
            )
        if self._values > _MOST_VALUES or len(self._open) > _DEEPEST:
            raise _UnreadableError(
                line, "there is more in this file than a collaboration can have", path
            )

    def _here(self) -> KeyPath:
        if not self._open:
            return ()
        parent = self._open[-1]
        return parent.path if parent.key is None else (*parent.path, parent.key)

    def _key(self, parent: _OpenContainer, event: events.NodeEvent, line: int) -> None:
        if not isinstance(event, events.ScalarEvent):
            raise _UnreadableError(line, "a key is one word, not a list or a mapping", parent.path)
        key = self._checked(event.value, parent.path)
        parent.key = key
        path = (*parent.path, key)
        if key in parent.container:
            first = self.lines[path]
            # Report the line of the second key, which the person probably added last.
            self.lines[path] = line
            self.findings.append((path, f"this key is there twice, on line {first} too; keep one"))
        self.lines.setdefault(path, line)

    def _path(self, parent: _OpenContainer | None, line: int) -> KeyPath:
        if parent is None:
            return ()
        if parent.key is not None:
            return (*parent.path, parent.key)
        path = (*parent.path, len(parent.container))
        self.lines[path] = line
        return path

    def _value(self, path: KeyPath, event: events.NodeEvent, line: int) -> Any:
        if isinstance(event, events.MappingStartEvent):
            return {}
        if isinstance(event, events.SequenceStartEvent):
            return []
        return self._scalar(path, event)

    def _scalar(self, path: KeyPath, event: Any) -> Any:
        text = self._checked(event.value, path)
        if event.style is not None:  # quoted, or a block of text
            return text
        try:
            value = resolve_scalar(text)
        except ValueError as error:
            self.findings.append((path, str(error)))
            return text
        if value is None and path:
            self.findings.append((path, _NOTHING_THERE))
        elif not isinstance(value, str):
            self.sources[path] = text
        return value

    def _checked(self, text: str, path: KeyPath) -> str:
        if len(text) > _LONGEST_TEXT:
            self.findings.append(
                (path, f"{quote_value(text)} is longer than {_LONGEST_TEXT} characters")
            )
            return text[:_LONGEST_TEXT]
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text.replace("\n", "")):
            self.findings.append(
                (path, f"{quote_value(text)} has a character that cannot be shown")
            )
            return text.encode("ascii", "backslashreplace").decode()
        return text

    def _put(self, parent: _OpenContainer | None, value: Any) -> None:
        if parent is None:
            self._root = value
        elif isinstance(parent.container, list):
            parent.container.append(value)
        else:
            if parent.key is not None:
                parent.container.setdefault(parent.key, value)
            parent.key = None

"""The errors of the YAML parser in plain words."""

from __future__ import annotations

import re

from ruamel.yaml.error import MarkedYAMLError

# Part of the parser's message, our message, and `True` if the fault is at the opening of a
# quote or key (and not where the parser stopped).
_MEANINGS = (
    (
        r"mapping values are not allowed",
        "a ':' stands where no key can be; look at the blanks before the key, or put quotes "
        "around a text that has ': ' in it",
        False,
    ),
    (r"'\\t'|tab", "a tab stands here; indent with blanks", False),
    (
        r"character '(.)' that cannot start",
        "a text that begins with '{}' needs quotes around it",
        False,
    ),
    (
        r"expected <block end>",
        "this line is not indented as the lines that it belongs with",
        False,
    ),
    (r"expected ',' or '(.)'", "a ',' or a '{}' is missing before here", False),
    (r"unexpected end of stream", "a quote that opens here is never closed", True),
    (r"could not find expected ':'", "this line is no key with a ':' after it", True),
    (
        r"alphabetic or numeric",
        "'*' and '&' need quotes around them; for every team write \"*\"",
        0,
    ),
    (r"expected '<document start>'", "the file should have ended before here", False),
)


def describe_syntax_error(error: MarkedYAMLError) -> tuple[int, str]:
    """Return the line, counted from 1, and a description of its problem in plain words."""
    complaint = str(error.problem or error.context or "no reason given")
    for pattern, words, at_opening in _MEANINGS:
        found = re.search(pattern, complaint)
        if found:
            mark = (at_opening and error.context_mark) or error.problem_mark
            return _line(mark), words.format(*found.groups())
    return _line(error.problem_mark or error.context_mark), f"this is not YAML: {complaint}"


def _line(mark: object) -> int:
    return int(getattr(mark, "line", 0)) + 1

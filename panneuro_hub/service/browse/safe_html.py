"""HTML from outside, reduced to what is only text, tables, lists, links and pictures.

What is allowed is named here, and all else goes: no script, frame, form, style or
SVG, no identity that a page could mean, no address but of a web page or a mailbox,
no picture but one that is part of the text itself.
"""

from __future__ import annotations

import base64
import binascii
import re

import nh3

LEFT_OUT_CLASS = "left-out"
"""The class of a line that says what is not shown."""

ALLOWED_CLASSES = frozenset(
    "cell input output prompt input_prompt output_prompt inner_cell input_area output_area "
    "output_subarea output_wrapper output_stderr output_error text_cell rendered_html highlight "
    f"dataframe {LEFT_OUT_CLASS} "
    # Of Pygments: comments, keywords, names, numbers, operators, strings.
    "c c1 ch cm cs cp k kc kd kn kp kr kt n na nb nc nd ne nf nn m mb mf mh mi mo o ow s sa sb sc "
    "sd se si sr ss s1 s2 "
    # Of nbconvert, for what terminals colour.
    "ansi-black-fg ansi-red-fg ansi-green-fg ansi-yellow-fg ansi-blue-fg ansi-magenta-fg "
    "ansi-cyan-fg ansi-white-fg ansi-bold ansi-underline".split()
)
"""The classes that the style of a page knows."""

_TEXT = (
    "p br hr h1 h2 h3 h4 h5 h6 div span blockquote pre code kbd samp var em strong b i u s del "
    "ins sub sup small abbr cite q mark details summary figure figcaption ul ol li dl dt dd"
)
_TABLE = "table caption colgroup col thead tbody tfoot tr th td"
_TAGS = {*_TEXT.split(), *_TABLE.split(), "a", "img"}
# What is in these is no text either.
_UNREAD = (
    "script style svg math template iframe frame frameset noframes object embed applet form "
    "textarea select button noscript noembed title xmp audio video canvas"
)
_GONE = {*_UNREAD.split()}
_NUMBERS = {"colspan", "rowspan", "span", "start", "width", "height"}
_ATTRIBUTES = {
    **{tag: {"class"} for tag in _TAGS},
    "a": {"class", "href", "title"},
    "abbr": {"class", "title"},
    "col": {"span"},
    "colgroup": {"span"},
    "details": {"open"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"class", "start"},
    "td": {"class", "colspan", "rowspan"},
    "th": {"class", "colspan", "rowspan", "scope"},
}
_DEEPEST = 2000  # elements in one another; what reads them takes the square of it
_OPENED = re.compile(r"<(/?)(?!(?:br|col|hr|img)\b)[a-z]", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,4}")
_LINK = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x20]+", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,([A-Za-z0-9+/=\s]*)")
_BEGINNINGS = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF8"}


def sanitize_html(html: str) -> str:
    """Make HTML from outside safe to be part of a page.

    Parameters
    ----------
    html : str
        Anything.

    Returns
    -------
    str
        Whole elements of `_TAGS` and text; links open a page of their own, which
        learns nothing of this one. What is nested too deeply is left out.
    """
    if _is_too_deep(html):
        return f'<p class="{LEFT_OUT_CLASS}">Not shown: elements that are nested too deeply</p>'
    return nh3.clean(
        # Halves of characters, which JSON can have, are none in a page.
        html.encode("utf-8", "replace").decode(),
        tags=_TAGS,
        clean_content_tags=_GONE,
        attributes=_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer",
    )


def make_picture_url(kind: str, encoded: str) -> str | None:
    """Return a base64 picture as an address for `sanitize_html`, or `None` for another type."""
    address = f"data:image/{kind};base64,{''.join(encoded.split())}"
    return address if _is_picture(address) else None


def _is_too_deep(html: str) -> bool:
    depth = 0
    for found in _OPENED.finditer(html):
        depth = max(0, depth - 1) if found[1] else depth + 1
        if depth > _DEEPEST:
            return True
    return False


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(word for word in value.split() if word in ALLOWED_CLASSES) or None
    if name in _NUMBERS:
        return value if _NUMBER.fullmatch(value) else None
    if name == "href":
        return value if _LINK.fullmatch(value) else None
    if name == "src":
        return value if _is_picture(value) else None
    if name == "scope":
        return value if value in ("row", "col") else None
    return value


def _is_picture(address: str) -> bool:
    found = _PICTURE.fullmatch(address)
    if found is None:
        return False
    try:
        beginning = base64.b64decode(found[2][:16])
    except binascii.Error:
        return False
    return beginning.startswith(_BEGINNINGS[found[1]])

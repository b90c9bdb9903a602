"""A notebook from outside as a page that is only looked at; pure.

The notebook is first made anew of what is shown of one, within bounds. nbconvert
turns that into HTML, and `safe_html` takes out all that is more than text and
pictures. The page's own style is the only one, and is named by its digest in
`NOTEBOOK_POLICY`, with which the page is served: so a browser keeps a page harmless even
where something should have come through.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from panneuro_hub.catalog.notebook_file import NotebookCell, NotebookFile, join_text
from panneuro_hub.service.browse.safe_html import LEFT_OUT_CLASS, make_picture_url, sanitize_html

if TYPE_CHECKING:
    from nbconvert.exporters.html import HTMLExporter

_MOST_CELLS = 1000
_MOST_OUTPUTS = 200  # of a cell
_LONGEST = 100_000  # characters of a cell's source, or of one output
_LONGEST_HTML = 500_000  # characters
_MOST_TEXT = 2_000_000  # characters
_LARGEST_PICTURE = 6_000_000  # characters
_MOST_PICTURES = 24_000_000  # characters
_PICTURES = ("png", "jpeg", "gif")
_LANGUAGE = re.compile(r"[a-z0-9+#-]{1,30}")
_TAG = re.compile(r"<[^>]*>")
_OPERATED = re.compile(r"<(?:input|button|select)\b", re.IGNORECASE)
# What a page that is only looked at cannot show, and what it is.
_NOT_SHOWN = (
    ("application/vnd.jupyter.widget-view+json", "a widget, which lives in a running notebook"),
    ("application/javascript", "a script"),
    ("text/html", "a part that needs scripts"),
    ("image/svg+xml", "a drawing in SVG"),
    ("application/pdf", "a PDF"),
)
_COPY = "open a copy of the notebook to see all of it"

PAGE_STYLE = """
:root {
  color-scheme: light dark; --page: #fff; --text: #1f2328; --faint: #57606a; --line: #d0d7de;
  --soft: #f4f5f7; --bad: #fde2e2; --comment: #4f6a4f; --green: #0a6b2d; --amber: #7a5200;
  --red: #a83730; --blue: #2561a3; --violet: #7a3fa5; --cyan: #106b6b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121212; --text: #f0f0f0; --faint: #b4bbc2; --line: #3d444d; --soft: #1e2227;
    --bad: #3a1616; --comment: #9fbf9f; --green: #5fd38a; --amber: #e0b341; --red: #ff9a90;
    --blue: #7fb6f5; --violet: #d0a3f5; --cyan: #5fcfcf;
  }
}
body { background: var(--page); color: var(--text); overflow-wrap: anywhere; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
.cell { margin: 0 0 1rem; }
.prompt { color: var(--faint); font: .75rem ui-monospace, monospace; min-height: .4rem; }
pre, code, kbd, samp { font: .875rem/1.45 ui-monospace, monospace; }
pre { margin: 0; overflow-x: auto; padding: .5rem .75rem; white-space: pre; }
.input_area pre { background: var(--soft); border: 1px solid var(--line); border-radius: .25rem; }
.output_stderr, .output_error { background: var(--bad); }
.output_area { overflow-x: auto; }
img { background: #fff; height: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .9rem; margin: .5rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .6rem; text-align: right; }
th, td { overflow-wrap: break-word; }
.text_cell { overflow-x: auto; }
.text_cell th, .text_cell td { text-align: left; }
blockquote { border-left: .25rem solid var(--line); margin-left: 0; padding-left: 1rem; }
a { color: inherit; }
.left-out { border: 1px dashed var(--line); font-size: .875rem; padding: .3rem .6rem; }
.c, .c1, .ch, .cm, .cs { color: var(--comment); font-style: italic; }
.k, .kc, .kd, .kn, .kp, .kr, .kt, .ow { color: var(--green); font-weight: 600; }
.m, .mb, .mf, .mh, .mi, .mo { color: var(--amber); }
.s, .sa, .sb, .sc, .sd, .se, .si, .sr, .ss, .s1, .s2 { color: var(--red); }
.nb, .nc, .nd, .ne, .nf, .nn { color: var(--blue); }
.o { color: var(--violet); }
.ansi-red-fg { color: var(--red); } .ansi-green-fg { color: var(--green); }
.ansi-yellow-fg { color: var(--amber); }
.ansi-blue-fg { color: var(--blue); } .ansi-magenta-fg { color: var(--violet); }
.ansi-cyan-fg { color: var(--cyan); }
.ansi-black-fg, .ansi-white-fg { color: inherit; }
.ansi-bold { font-weight: 600; } .ansi-underline { text-decoration: underline; }
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(PAGE_STYLE.encode()).digest()).decode()

NOTEBOOK_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
    f"style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""The Content-Security-Policy of such a page: no script, no request; links open elsewhere."""


def render_notebook_html(notebook: bytes) -> str:
    """Make the page of a notebook.

    Parameters
    ----------
    notebook : bytes
        Anything.

    Returns
    -------
    str
        A whole HTML document, without scripts, and with nothing that is fetched.

    Raises
    ------
    Malformed
        If it is no notebook.
    """
    found = NotebookFile.decode(notebook)
    shown, end = _limit_notebook(found)
    body = sanitize_html(_convert_notebook(shown)) + (_make_omission_note(end) if end else "")
    return _make_document(found.title or "Notebook", body)


def _make_document(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _make_omission_note(words: str) -> str:
    return f'<p class="{LEFT_OUT_CLASS}">{html.escape(words)}</p>'


@dataclass
class _RemainingSpace:
    """How much may still be shown, in characters."""

    text: int = _MOST_TEXT
    pictures: int = _MOST_PICTURES

    def cut(self, text: str, longest: int = _LONGEST) -> str:
        """As much of a text as there is room for, with words for the rest."""
        kept = text[: max(0, min(longest, self.text))]
        self.text -= len(kept)
        left = len(text) - len(kept)
        return f"{kept}\n[{left:,} more characters are not shown]" if left else kept

    def takes(self, size: int) -> bool:
        """Whether there is room for a picture; it is taken then."""
        fits = size <= min(_LARGEST_PICTURE, self.pictures)
        self.pictures -= size if fits else 0
        return fits


def _limit_notebook(found: NotebookFile) -> tuple[dict[str, Any], str]:
    """The notebook as nbconvert gets it, of nothing but what is shown; and what is not."""
    room = _RemainingSpace()
    cells: list[dict[str, Any]] = []
    for cell in found.cells[:_MOST_CELLS]:
        if room.text <= 0:
            break
        cells.append({"id": f"c{len(cells)}", "metadata": {}, **_limit_cell(cell, room)})
    left = len(found.cells) - len(cells)
    language = found.language if _LANGUAGE.fullmatch(found.language) else ""
    shown = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": language}} if language else {},
        "cells": cells,
    }
    return (
        shown,
        f"{left:,} more cells are not shown; {_COPY.replace(' it', ' them')}" if left else "",
    )


def _limit_cell(cell: NotebookCell, room: _RemainingSpace) -> dict[str, Any]:
    source = room.cut(cell.source)
    if cell.kind == "markdown":
        return {
            "cell_type": "markdown",
            "source": source,
            "attachments": dict(_read_attachments(cell.attachments or {}, room)),
        }
    if cell.kind == "raw":
        lines = "".join(f"    {line}\n" for line in source.splitlines())
        return {"cell_type": "markdown", "source": lines, "attachments": {}}
    outputs = [one for output in _join_streams(cell.outputs) for one in _limit_output(output, room)]
    left = len(outputs) - _MOST_OUTPUTS
    if left > 0:
        outputs[_MOST_OUTPUTS:] = [
            _make_html_output(_make_omission_note(f"{left:,} more outputs are not shown; {_COPY}"))
        ]
    return {
        "cell_type": "code",
        "source": source,
        "execution_count": cell.count,
        "outputs": outputs,
    }


def _read_attachments(
    given: Mapping[str, Any], room: _RemainingSpace
) -> Iterator[tuple[str, dict[str, str]]]:
    for name, bundle in given.items():
        address = _find_picture(bundle, room) if isinstance(bundle, dict) else None
        if address is not None:
            yield name, {"address": address}


def _join_streams(outputs: tuple[Mapping[str, Any], ...]) -> Iterator[Mapping[str, Any]]:
    """Outputs; what a cell printed piece by piece is one."""
    last: dict[str, Any] | None = None
    for output in outputs:
        text = join_text(output.get("text")) if output.get("output_type") == "stream" else None
        if text is None:
            if last is not None:
                yield {**last, "text": "".join(last["text"])}
            last = None
            yield output
            continue
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        if last is not None and last["name"] == name:
            last["text"].append(text)
            continue
        if last is not None:
            yield {**last, "text": "".join(last["text"])}
        last = {"output_type": "stream", "name": name, "text": [text]}
    if last is not None:
        yield {**last, "text": "".join(last["text"])}


def _limit_output(output: Mapping[str, Any], room: _RemainingSpace) -> Iterator[dict[str, Any]]:
    kind = output.get("output_type")
    if kind == "stream":
        yield {**output, "text": room.cut(str(output.get("text", "")))}
    elif kind == "error":
        lines = output.get("traceback")
        trace = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
        said = "\n".join(trace) or f"{output.get('ename')}: {output.get('evalue')}"
        yield {
            "output_type": "error",
            "ename": "",
            "evalue": "",
            "traceback": room.cut(said).split("\n"),
        }
    elif kind in ("execute_result", "display_data"):
        data = output.get("data")
        yield from _choose_form(data if isinstance(data, dict) else {}, room)


def _choose_form(data: Mapping[str, Any], room: _RemainingSpace) -> Iterator[dict[str, Any]]:
    """The one form of an output that shows most, and words for forms that cannot be shown."""
    address = _find_picture(data, room)
    if address is not None:
        yield _make_html_output(f'<img src="{address}" alt="A picture that the cell made">')
        return
    plain = join_text(data.get("text/latex")) or join_text(data.get("text/plain"))
    if plain and _OPERATED.search(join_text(data.get("text/html")) or ""):
        # What opens and closes by its own style, as xarray's does: the text tells more.
        data = {kind: value for kind, value in data.items() if kind != "text/html"}
    safe = _find_safe_html(data, room)
    if safe is not None:
        yield _make_html_output(safe)
        return
    markdown = join_text(data.get("text/markdown"))
    if markdown:
        yield _make_display_output("text/markdown", room.cut(markdown))
        return
    if plain:
        yield _make_display_output("text/plain", room.cut(plain))
    what = next((words for kind, words in _NOT_SHOWN if kind in data), None)
    if what is None and any(f"image/{kind}" in data for kind in _PICTURES):
        what = "a picture that is too large, or none of its kind"
    if what is not None or not plain:
        yield _make_html_output(
            _make_omission_note(f"Not shown: {what or 'an output of no known kind'}; {_COPY}")
        )


def _find_picture(data: Mapping[str, Any], room: _RemainingSpace) -> str | None:
    for kind in _PICTURES:
        encoded = join_text(data.get(f"image/{kind}"))
        if encoded and len(encoded) <= _LARGEST_PICTURE:
            address = make_picture_url(kind, encoded)
            if address is not None and room.takes(len(address)):
                return address
    return None


def _find_safe_html(data: Mapping[str, Any], room: _RemainingSpace) -> str | None:
    given = join_text(data.get("text/html"))
    if not given or len(given) > min(_LONGEST_HTML, room.text):
        return None
    room.text -= len(given)
    safe = sanitize_html(given)
    return safe if _TAG.sub("", safe).strip() or ' src="' in safe else None


def _make_html_output(safe: str) -> dict[str, Any]:
    return _make_display_output("text/html", safe)


def _make_display_output(kind: str, value: str) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {kind: value}}


def _convert_notebook(shown: Mapping[str, Any]) -> str:
    from nbformat import from_dict

    body, _ = _make_exporter().from_notebook_node(from_dict(shown))
    return str(body)


@cache
def _make_exporter() -> HTMLExporter:
    # Slow to import, and more than half a second to make.
    from nbconvert.exporters.html import HTMLExporter

    return HTMLExporter(
        template_name="basic",
        sanitize_html=True,
        exclude_anchor_links=True,
        default_preprocessors=[],
        # nbconvert's own would show headings and tables as their tags.
        filters={"clean_html": sanitize_html, "markdown2html": _make_markdown_filter()},
    )


def _make_markdown_filter() -> Callable[[Any, str], str]:
    """The Markdown of nbconvert, with pictures of the cell alone."""
    from jinja2 import pass_context
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def image(self, text: str, url: str, title: str | None = None) -> str:
            name = url.removeprefix("attachment:")
            own = self.attachments.get(name) or self.attachments.get(unquote(name)) or {}
            alt = html.escape(_TAG.sub("", text) or "A picture")
            return f'<img src="{html.escape(own.get("address", ""))}" alt="{alt}">'

    @pass_context
    def convert(context: Any, source: str) -> str:
        cell = context.get("cell") or {}
        renderer = Renderer(
            escape=False, attachments=cell.get("attachments") or {}, exclude_anchor_links=True
        )
        return str(MarkdownWithMath(renderer=renderer).render(source))

    return convert

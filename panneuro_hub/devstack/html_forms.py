"""HTML forms as a person meets them: what can be filled in, chosen and sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from panneuro_hub.devstack.errors import DevstackError

_TEXTS = ("text", "email", "password", "search", "url", "number", "")


@dataclass
class FormField:
    """One name of a form.

    Parameters
    ----------
    kind : str
        ``text``, ``hidden``, ``choice`` (radio buttons, a select), ``box`` or ``button``.
    value : str or None
        What is sent unless something else is chosen; `None`: nothing is sent.
    offered : list of str
        What can be chosen; empty where any text goes.
    """

    kind: str
    value: str | None = None
    offered: list[str] = field(default_factory=list)

    def takes(self, value: str) -> bool:
        """Whether a person can choose or write `value` here."""
        return self.kind != "hidden" and (not self.offered or value in self.offered)


@dataclass
class HtmlForm:
    """A form of a page, with what it sends as it stands.

    Parameters
    ----------
    action : str
        Where it is sent, as written in the page; empty for the page itself.
    method : str
        ``get`` or ``post``.
    fields : dict of str to FormField
        By name, in the order of the page.
    """

    action: str
    method: str
    fields: dict[str, FormField] = field(default_factory=dict)

    def offers(self, choices: Mapping[str, str]) -> bool:
        """Whether all of `choices` can be made here."""
        return all(
            name in self.fields and self.fields[name].takes(value)
            for name, value in choices.items()
        )

    def filled(self, choices: Mapping[str, str]) -> dict[str, str]:
        """What the form sends after `choices` were made.

        Raises
        ------
        DevstackError
            If the form has no such field, or does not offer that value.
        """
        for name, value in choices.items():
            known = self.fields.get(name)
            if known is None:
                names = ", ".join(self.fields) or "none"
                raise DevstackError(f"the form has no field {name!r}; it has {names}")
            if not known.takes(value):
                offers = ", ".join(known.offered) or "nothing to choose"
                raise DevstackError(f"the form does not offer {value!r} for {name!r}: {offers}")
        standing = {name: known.value for name, known in self.fields.items()}
        return {name: value for name, value in {**standing, **choices}.items() if value is not None}


def find_forms(page: str) -> list[HtmlForm]:
    """All forms of an HTML page, in its order."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.forms


def find_links(page: str) -> list[str]:
    """All addresses that an HTML page links to, as written in it."""
    reader = _Links()
    reader.feed(page)
    reader.close()
    return reader.found


def find_form(page: str, choices: Mapping[str, str]) -> HtmlForm:
    """The first form of a page in which all of `choices` can be made.

    Raises
    ------
    DevstackError
        If there is none, with what the page offers instead.
    """
    found = find_forms(page)
    named = [form for form in found if all(name in form.fields for name in choices)]
    if not named:
        names = ", ".join(choices)
        raise DevstackError(f"expected a form with {names}, but the page has {len(found)} others")
    # Where none offers them, the first one says what it does offer.
    form = next((form for form in named if form.offers(choices)), named[0])
    form.filled(choices)
    return form


def extract_text(page: str) -> str:
    """What a person reads on a page: no tags, scripts or styles, single spaces."""
    reader = _Text()
    reader.feed(page)
    reader.close()
    return " ".join(" ".join(reader.pieces).split())


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href")
        if tag == "a" and address:
            self.found.append(address)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0
        self._in_a_word = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        self._in_a_word = tag == "wbr"

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0
        self._in_a_word = False

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._in_a_word and self.pieces:
            self.pieces[-1] += data
        else:
            self.pieces.append(data)
        self._in_a_word = False


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self._form: HtmlForm | None = None
        self._select: FormField | None = None
        self._area: FormField | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = HtmlForm(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in given:
            self._control(self._form, tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = self._select = self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.value = (self._area.value or "") + data

    def _control(self, form: HtmlForm, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        if tag == "option" and self._select is not None:
            self._offer(self._select, given.get("value", ""), "selected" in given, first=True)
        elif not name:
            return
        elif tag == "select":
            self._select = form.fields.setdefault(name, FormField("choice"))
        elif tag == "textarea":
            self._area = form.fields.setdefault(name, FormField("text", ""))
        elif tag == "button":
            self._offer(
                form.fields.setdefault(name, FormField("button")), given.get("value", ""), False
            )
        elif tag == "input":
            self._input(form, name, given)

    def _input(self, form: HtmlForm, name: str, given: dict[str, str]) -> None:
        kind, value = given.get("type", "").lower(), given.get("value", "")
        if kind == "radio":
            choice = form.fields.setdefault(name, FormField("choice"))
            self._offer(choice, value, "checked" in given)
        elif kind == "checkbox":
            self._offer(
                form.fields.setdefault(name, FormField("box")), value or "on", "checked" in given
            )
        elif kind == "submit":
            self._offer(form.fields.setdefault(name, FormField("button")), value, False)
        elif kind in _TEXTS or kind == "hidden":
            form.fields[name] = FormField("hidden" if kind == "hidden" else "text", value)

    @staticmethod
    def _offer(choice: FormField, value: str, chosen: bool, first: bool = False) -> None:
        choice.offered.append(value)
        if chosen or (first and choice.value is None):
            choice.value = value

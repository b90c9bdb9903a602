"""Write the parts of the reference that come from the code, as Markdown that pages include.

Sphinx calls `write_all` before it reads the pages. The files are in ``reference/generated`` and
are not committed: they cannot differ from the code.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from datetime import timedelta
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import walk_packages
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from traitlets import HasTraits, TraitType, Undefined

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.wire.refusal import STATUS_CODES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "panneuro_hub"
GENERATED = ROOT / "docs" / "reference" / "generated"
KINDS = {"unicode string": "text", "int": "number", "float": "number", "dict": "mapping"}
METHODS = ("get", "post", "put", "patch", "delete")


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def _first_sentence(docstring: str | None) -> str:
    return _markdown((docstring or "").strip().split("\n\n")[0])


def _markdown(text: str) -> str:
    """Return reStructuredText's double backticks as Markdown's single ones."""
    return re.sub(r"``([^`]+)``", r"`\1`", text)


# -- the collaboration file -----------------------------------------------------------------


def collaboration_sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the key and the model of each part of a collaboration file, the whole file first."""
    from panneuro_hub.collaboration import Collaboration

    yield "", Collaboration
    yield from _sections_below(Collaboration, "")


def _sections_below(model: type[BaseModel], above: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        inner, by_name = _inner_model(field.annotation)
        if inner is None:
            continue
        key = f"{above}{name}{'.NAME' if by_name else ''}"
        # The same keys as in another part: that part has them.
        if key.startswith(("dask.worker_profiles.NAME.", "projects.NAME.dask.")):
            continue
        yield key, inner
        yield from _sections_below(inner, f"{key}.")


def _inner_model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that a key holds, if it holds one, and whether it holds several by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is dict:
        return _inner_model(get_args(annotation)[1])[0], True
    if get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            if each is not NoneType and _inner_model(each)[0]:
                return _inner_model(each)
    return None, False


def meaning_and_example(field: FieldInfo) -> tuple[str, str]:
    """Return what a key means, and its example; the models say both in the key's docstring."""
    text = re.sub(r"\s+", " ", field.description or "")
    meaning, _, example = text.partition("Example: ")
    return meaning.strip(), example.strip()


def default_of(field: FieldInfo) -> str:
    """Return the default of a key as one would write it in the file."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{round(value.total_seconds() / 60)}m`"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    if isinstance(value, tuple):
        return "`[]`"
    return "`{}`" if isinstance(value, dict) else f"`{value:g}`"


def collaboration_keys() -> str:
    """Return a table of keys for each part of the collaboration file."""
    parts = []
    for key, model in collaboration_sections():
        rows = []
        for name, field in model.model_fields.items():
            meaning, example = meaning_and_example(field)
            # The models say in words what the absence of a key means.
            meaning, _, absent = meaning.partition("Default: ")
            default = absent.strip(" .") or default_of(field)
            rows.append((f"`{name}`", meaning, default, example or "see below"))
        heading = f"## `{key}`" if key else "## The whole file"
        parts.append(f"{heading}\n\n" + table(("Key", "Meaning", "Default", "Example"), rows))
    return "\n\n".join(parts)


# -- the commands ---------------------------------------------------------------------------


def command_reference(program: str) -> str:
    """Return the usage, arguments and options of a program's commands."""
    (script,) = entry_points(group="console_scripts", name=program)
    loaded = script.load()
    group = loaded if isinstance(loaded, click.Group) else import_module(script.module).group
    parts = []
    context = click.Context(group, info_name=program)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        parts.append(_command(command, click.Context(command, info_name=name, parent=context)))
    return "\n\n".join(parts)


def _command(command: click.Command, context: click.Context) -> str:
    usage = " ".join(command.collect_usage_pieces(context))
    help_text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    parts = [
        f"## `{context.command_path}`",
        f"```text\n{context.command_path} {usage}\n```",
        _markdown(_literal_blocks(help_text)),
    ]
    rows = []
    for each in command.get_params(context):
        record = each.get_help_record(context)
        if record and "--help" not in record[0]:
            rows.append((f"`{record[0]}`", record[1]))
    if rows:
        parts.append(table(("Option", "Meaning"), rows))
    if command.epilog:
        parts.append(_markdown(inspect.cleandoc(command.epilog)))
    return "\n\n".join(parts)


def _literal_blocks(text: str) -> str:
    """Return a help text with its indented lines as blocks of code."""
    out: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if all(line.startswith("  ") for line in paragraph.splitlines()):
            out.append(f"```text\n{inspect.cleandoc(paragraph)}\n```")
        else:
            out.append(paragraph)
    return "\n\n".join(out)


# -- lab ------------------------------------------------------------------------------------


def lab_reference() -> str:
    """Return Sphinx's directives for everything that `lab` offers, functions first."""
    lab = import_module("panneuro_hub.lab")
    functions, classes, errors = [], [], []
    # `open` is not in __all__, so that `import *` does not replace Python's own.
    for name in sorted({*lab.__all__, "open"}):
        each = getattr(lab, name)
        if not isinstance(each, type):
            functions.append(f".. autofunction:: panneuro_hub.lab.{name}")
        elif issubclass(each, BaseException):
            errors.append(f".. autoexception:: panneuro_hub.lab.{name}")
        else:
            classes.append(f".. autoclass:: panneuro_hub.lab.{name}\n   :members:")
    parts = (("Functions", functions), ("Classes", classes), ("Errors and warnings", errors))
    return "\n\n".join(
        f"## {title}\n\n```{{eval-rst}}\n" + "\n\n".join(each) + "\n```" for title, each in parts
    )


# -- traits ---------------------------------------------------------------------------------


def trait_classes(package: str) -> list[type[HasTraits]]:
    """Return the configurable classes of a package that have settings of their own."""
    root = import_module(package)
    found = set()
    for module in walk_packages(root.__path__, f"{package}."):
        if module.name.endswith(("_config", "__main__")):
            continue
        for each in vars(import_module(module.name)).values():
            ours = isinstance(each, type) and each.__module__.startswith(package)
            if ours and issubclass(each, HasTraits) and own_settings(each):
                found.add(each)
    return sorted(found, key=lambda cls: cls.__name__)


def own_settings(cls: type[HasTraits]) -> dict[str, TraitType]:
    """Return the configurable traits that a class defines itself."""
    return {
        name: trait
        for name, trait in cls.class_own_traits().items()
        if trait.metadata.get("config") and name in vars(cls)
    }


def traits_reference() -> str:
    """Return a table of settings for each class of the hub and of the Dask gateway."""
    parts = []
    for title, package in (("hub", "panneuro_hub.hub"), ("Dask gateway", "panneuro_hub.dask")):
        parts.append(f"## Settings of the {title}")
        for cls in trait_classes(package):
            rows = []
            for name, trait in sorted(own_settings(cls).items()):
                kind = trait.info().removeprefix("a ").removeprefix("an ")
                rows.append(
                    (f"`{name}`", KINDS.get(kind, kind), _default(trait), _markdown(trait.help))
                )
            parts.append(f"### `{cls.__name__}`\n\n{_first_sentence(cls.__doc__)}")
            parts.append(table(("Setting", "Type", "Default", "Meaning"), rows))
    return "\n\n".join(parts)


def _default(trait: TraitType) -> str:
    value = trait.default()
    return "" if value is Undefined or value in ("", None) else f"`{value!r}`"


# -- extras ---------------------------------------------------------------------------------


def extras_reference() -> str:
    """Return what each extra of the package brings, with the comments of setup.cfg."""
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    comments = dict(_extra_comments(text))
    config = ConfigParser()
    config.read_string(text)
    rows = []
    for name, needs in config["options.extras_require"].items():
        packages = [re.split(r"[<>=!;~]", line)[0].strip() for line in needs.split("\n") if line]
        rows.append(
            (f"`{name}`", comments.get(name, ""), ", ".join(f"`{each}`" for each in packages))
        )
    return table(("Extra", "For", "Brings"), rows)


def _extra_comments(text: str) -> Iterator[tuple[str, str]]:
    section = text.split("[options.extras_require]")[1].split("\n[")[0]
    for match in re.finditer(r"((?:^# .*\n)+)^(\w+) =", section, re.MULTILINE):
        yield match[2], " ".join(line.removeprefix("# ") for line in match[1].splitlines())


# -- HTTP -----------------------------------------------------------------------------------


def http_reference() -> str:
    """Return the paths of the service, with what each method does.

    The source is read, not run: making the application takes a database and a store.
    """
    classes: dict[str, ast.ClassDef] = {}
    routes: dict[str, str] = {}
    for file in sorted((PACKAGE / "service").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = node
            elif isinstance(node, ast.Tuple) and len(node.elts) >= 2:
                path, handler = _route(node.elts[0]), node.elts[1]
                if path is not None and isinstance(handler, ast.Name | ast.Attribute):
                    routes[path] = handler.id if isinstance(handler, ast.Name) else handler.attr
    api, pages = [], []
    for path, handler in sorted(routes.items()):
        for method, sentence in _methods(handler, classes):
            row = (f"`{method.upper()} {path}`", sentence)
            (api if "/api/" in path or path in ("/health", "/metrics") else pages).append(row)
    if not api or not pages:
        raise RuntimeError("no routes were found in the source of the service")
    heads = ("Request", "Answer")
    return (
        f"## For programs\n\n{table(heads, api)}\n\n## Pages, for browsers\n\n{table(heads, pages)}"
    )


def _route(node: ast.expr) -> str | None:
    """Return the path of ``rf"{prefix}/api/session"``, in words."""
    if not isinstance(node, ast.JoinedStr) or not isinstance(node.values[0], ast.FormattedValue):
        return None
    rest = "".join(str(each.value) for each in node.values[1:] if isinstance(each, ast.Constant))
    if not rest.startswith("/"):
        return None
    path = re.sub(r"\([^)]*\)", "{}", rest.removesuffix("?")).rstrip("/") or "/"
    names = iter(("PROJECT", "NAME") if path.count("{}") > 1 else ("NAME",))
    return re.sub(r"\{\}", lambda _: next(names), path)


def _methods(handler: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[tuple[str, str]]:
    cls = classes.get(handler)
    if cls is None:
        return
    found = False
    for node in cls.body:
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name in METHODS:
            found = True
            yield node.name, _first_sentence(ast.get_docstring(node))
    if not found:
        bases = [base.id for base in cls.bases if isinstance(base, ast.Name)]
        inherited = [row for base in bases for row in _methods(base, classes)]
        yield from inherited or [("get", _first_sentence(ast.get_docstring(cls)))]


# -- errors ---------------------------------------------------------------------------------


def error_classes() -> list[type[PanNeuroError]]:
    """Return the package's errors that a process answers with, by status and code."""
    found: set[type[PanNeuroError]] = set()
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if not re.search(r"^class \w+Error\(", text, re.MULTILINE):
            continue
        parts = file.relative_to(ROOT).with_suffix("").parts
        for each in vars(import_module(".".join(parts))).values():
            if isinstance(each, type) and issubclass(each, PanNeuroError) and each.status:
                found.add(each)
    return sorted(found, key=lambda each: (each.status or 0, each.code))


def errors_reference() -> str:
    """Return a table of the codes of refusals, and one of the codes that stand for a status."""
    rows = [
        (f"`{each.code}`", str(each.status), _first_sentence(each.__doc__))
        for each in error_classes()
    ]
    general = [(f"`{code}`", str(status)) for status, code in STATUS_CODES.items()]
    return (
        table(("Code", "Status", "Meaning"), rows)
        + "\n\nA refusal that no error of the package stands for has the code of its status:\n\n"
        + table(("Code", "Status"), general)
    )


# -- all of it ------------------------------------------------------------------------------


PARTS = {
    "collaboration": collaboration_keys,
    "panneuro": lambda: command_reference("panneuro"),
    "panneuro-hub": lambda: command_reference("panneuro-hub"),
    "lab": lab_reference,
    "traits": traits_reference,
    "extras": extras_reference,
    "http": http_reference,
    "errors": errors_reference,
}
"""The generated parts, by the names of their files."""


def write_all(app: object = None) -> None:
    """Write all generated parts; files that have not changed keep their time."""
    GENERATED.mkdir(parents=True, exist_ok=True)
    for name, make in PARTS.items():
        file, text = GENERATED / f"{name}.md", make() + "\n"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx write the parts before it reads the pages."""
    app.connect("builder-inited", write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    sys.exit(write_all())

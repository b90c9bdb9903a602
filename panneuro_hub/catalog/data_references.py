"""Find the datasets that a notebook's code mentions, without running the code.

A literal argument of a function of `panneuro_hub.lab` is certain, and so is a whole
address. Any other literal counts if it names an existing dataset. A name that the
notebook puts together while it runs is not found.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from panneuro_hub.catalog.dataset_keys import list_enclosing_names
from panneuro_hub.catalog.notebook_file import NotebookFile
from panneuro_hub.names import is_name

_LAB = "panneuro_hub.lab"
_FUNCTIONS = frozenset({"file", "open", "open_zarr", "resolve", "store"})
_SCRATCH = "scratch"
_LONGEST_REFERENCE = 2000  # characters
_MAGIC = re.compile(r"^(\s*)(?:[%!?].*|[^#'\"]*\?\??\s*)$")
_TAKEN = re.compile(r"=\s*[%!].*$")
_QUOTED = re.compile(r"""(['"])([^'"\n]{3,300})\1|(s3://[^\s'"<>)\]]{3,300})""")


@dataclass(frozen=True, order=True)
class DataReference:
    """A text in a notebook's code that could name data.

    Parameters
    ----------
    text : str
    certain : bool
        Whether it does.
    whole : bool
        Whether it is all of the name, and not only its beginning.
    """

    text: str
    certain: bool
    whole: bool


@dataclass(frozen=True)
class NotebookReferences:
    """The data that a notebook mentions.

    Parameters
    ----------
    datasets : tuple of str
        With their projects.
    unclear : tuple of str
        Beginnings of names that are put together while the notebook runs.
    scratch : bool
        Whether it reads the scratch of the person who runs it, which others cannot read.
    """

    datasets: tuple[str, ...]
    unclear: tuple[str, ...]
    scratch: bool


def find_references(notebook: NotebookFile) -> frozenset[DataReference]:
    """Return every text of the code that could name data, in any language."""
    sources = [cell.source for cell in notebook.cells if cell.kind == "code"]
    trees = [(source, _parse_cell(source)) for source in sources]
    names = _LabNames.of(tree for _, tree in trees if tree is not None)
    found: set[DataReference] = set()
    for source, tree in trees:
        if tree is None:
            found.update(_find_quoted(source))
            continue
        try:
            found.update([*_find_in_tree(tree, names), *_find_in_commands(source)])
        except RecursionError:  # such as of a thousand texts that are added to each other
            found.update(_find_quoted(source))
    return frozenset(found)


def resolve_references(
    found: Collection[DataReference],
    prefixes: Mapping[str, str],
    known: Callable[[str], Collection[str]],
    scratch: str | None = None,
) -> NotebookReferences:
    """Return the datasets that the references mean.

    Parameters
    ----------
    found : collection of DataReference
    prefixes : mapping of str to str
        Prefix, such as ``s3://lab/nav/``, by the name of the project.
    known : callable
        Takes a project of `prefixes` and returns the names of its datasets.
    scratch : str, optional
        The prefix of the person's own scratch.
    """
    datasets: set[str] = set()
    unclear: set[str] = set()
    in_scratch = False
    known = cache(known)
    for one in found:
        path = _make_path(one.text, prefixes, scratch)
        project, _, rest = path.partition("/")
        if project == _SCRATCH:
            in_scratch = in_scratch or one.certain
            continue
        if not is_name(project):
            continue
        names = (
            list(list_enclosing_names(rest))
            if one.whole
            else list(list_enclosing_names(rest.rpartition("/")[0]))
        )
        there = known(project) if names and project in prefixes else ()
        match = next((name for name in names if name in there), None)
        if match is not None:
            datasets.add(f"{project}/{match}")
        elif one.certain and not one.whole:
            unclear.add(one.text)
        elif one.certain and names:
            datasets.add(f"{project}/{names[0]}")
    return NotebookReferences(tuple(sorted(datasets)), tuple(sorted(unclear)), in_scratch)


def _make_path(text: str, prefixes: Mapping[str, str], scratch: str | None) -> str:
    """Return an address as ``PROJECT/rest``, or ``""`` if it is in no known project."""
    if "://" not in text:
        return text
    places = {**prefixes, **({_SCRATCH: scratch} if scratch else {})}
    inside = [name for name, prefix in places.items() if text.startswith(prefix)]
    project = max(inside, key=lambda name: len(places[name]), default=None)
    return f"{project}/{text.removeprefix(places[project])}" if project else ""


@dataclass(frozen=True)
class _LabNames:
    """The names under which the notebook imports `panneuro_hub.lab` and its functions."""

    modules: frozenset[str]
    functions: frozenset[str]

    @classmethod
    def of(cls, trees: Iterator[ast.Module]) -> _LabNames:
        modules, functions = {"lab", _LAB}, set[str]()
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    modules.update(
                        one.asname for one in node.names if one.name == _LAB and one.asname
                    )
                elif isinstance(node, ast.ImportFrom) and node.module == "panneuro_hub":
                    modules.update(one.asname or "lab" for one in node.names if one.name == "lab")
                elif isinstance(node, ast.ImportFrom) and node.module == _LAB:
                    functions.update(
                        one.asname or one.name for one in node.names if one.name in _FUNCTIONS
                    )
        return cls(frozenset(modules), frozenset(functions))

    def has(self, function: ast.expr) -> bool:
        """Return whether this is a function that opens data."""
        if isinstance(function, ast.Name):
            return function.id in self.functions
        return (
            isinstance(function, ast.Attribute)
            and function.attr in _FUNCTIONS
            and _join_attributes(function.value) in self.modules
        )


def _join_attributes(name: ast.expr) -> str:
    if isinstance(name, ast.Attribute):
        return f"{_join_attributes(name.value)}.{name.attr}"
    return name.id if isinstance(name, ast.Name) else ""


def _parse_cell(source: str) -> ast.Module | None:
    """Return a cell's code, or `None` if it is not Python even without IPython's commands."""
    return _parse_source(source) or _parse_source(_remove_magics(source))


def _parse_source(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _remove_magics(source: str) -> str:
    first, _, rest = source.lstrip().partition("\n")
    lines = rest if first.startswith("%%") else source
    return "\n".join(
        _TAKEN.sub("= None", _MAGIC.sub(r"\1pass", line)) for line in lines.split("\n")
    )


def _find_in_commands(source: str) -> Iterator[DataReference]:
    for line in source.split("\n"):
        if line.lstrip().startswith(("!", "%")):
            yield from _find_quoted(line)


def _find_quoted(source: str) -> Iterator[DataReference]:
    for found in _QUOTED.finditer(source):
        text = found[2] or found[3]
        yield DataReference(text, certain=text.startswith("s3://"), whole=True)


def _find_in_tree(tree: ast.Module, names: _LabNames) -> Iterator[DataReference]:
    opened = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and names.has(node.func)
        for argument in [
            *node.args[:1],
            *(keyword.value for keyword in node.keywords if keyword.arg == "path"),
        ]
    }
    pieces = {id(piece) for node in ast.walk(tree) for piece in _list_pieces(node)}
    for node in ast.walk(tree):
        beginning = _read_beginning(node)
        if beginning is None or id(node) in pieces:
            continue
        text, whole = beginning
        if 0 < len(text) <= _LONGEST_REFERENCE and ("/" in text or id(node) in opened):
            certain = id(node) in opened or text.startswith("s3://")
            yield DataReference(text, certain=certain, whole=whole)


def _list_pieces(node: ast.AST) -> list[ast.expr]:
    """Return the expressions that are parts of the text that `node` builds."""
    if isinstance(node, ast.JoinedStr):
        return node.values
    return [node.left] if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) else []


def _read_beginning(node: ast.AST) -> tuple[str, bool] | None:
    """Return the text that an expression is or begins with, and whether that is all of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value, True
    if isinstance(node, ast.JoinedStr) and node.values:
        first = _read_beginning(node.values[0])
        return (first[0], first[1] and len(node.values) == 1) if first else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        first = _read_beginning(node.left)
        return (first[0], False) if first else None
    return None

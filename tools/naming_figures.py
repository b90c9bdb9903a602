#!/usr/bin/env python3
"""Report figures about the names in the package: how much each name says.

The figures are for orientation, not limits. Well-kept packages of the field have 0 to 17 % of
classes with a name of one word, 1.7 to 3.0 words in the name of a function, and 0 to 5 class names
with two meanings. A padded name is worse than a short one.

Usage: tools/naming_figures.py [--list] [FOLDER]
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DocumentedNode = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

_QUESTION_WORDS = {"What", "Whether", "Where", "How", "Who", "Whose", "Which"}
_WORD_OF_CLASS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")


@dataclass
class NamingFigures:
    """The public names of a package.

    Parameters
    ----------
    classes : dict
        For each name of a class, the files that define it.
    functions : list of str
        The names of functions and methods.
    questions : list of str
        First lines of docstrings that begin with a question word, with their place.
    """

    classes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    functions: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    @property
    def one_word_classes(self) -> list[str]:
        """Names of classes that have one word."""
        return sorted(name for name in self.classes if len(_WORD_OF_CLASS.findall(name)) == 1)

    @property
    def words_per_function(self) -> float:
        """The average number of words in the name of a function."""
        words = [len([word for word in name.split("_") if word]) for name in self.functions]
        return sum(words) / len(words) if words else 0.0

    @property
    def shared_names(self) -> dict[str, list[str]]:
        """Names of classes that more than one file defines."""
        return {name: files for name, files in sorted(self.classes.items()) if len(files) > 1}


def read_figures(folder: Path) -> NamingFigures:
    """Read the public names of all modules below a folder."""
    figures = NamingFigures()
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for node in _documented_nodes(tree):
            _note_name(figures, node, str(path))
            _note_docstring(figures, node, str(path))
    return figures


def _documented_nodes(tree: ast.Module) -> Iterator[DocumentedNode]:
    """Yield the module, its classes and functions, and the classes' methods."""
    yield tree
    waiting: list[ast.Module | ast.ClassDef] = [tree]
    while waiting:
        for node in waiting.pop().body:
            if isinstance(node, ast.ClassDef):
                waiting.append(node)
                yield node
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _note_name(figures: NamingFigures, node: DocumentedNode, path: str) -> None:
    name = getattr(node, "name", "_")
    if name.startswith("_"):
        return
    if isinstance(node, ast.ClassDef):
        figures.classes[name].append(path)
    else:
        figures.functions.append(name)


def _note_docstring(figures: NamingFigures, node: DocumentedNode, path: str) -> None:
    first = (ast.get_docstring(node) or "").partition("\n")[0]
    if first.partition(" ")[0] in _QUESTION_WORDS:
        figures.questions.append(f"{path}:{getattr(node, 'lineno', 1)}: {first}")


def main() -> None:
    """Print the figures; with ``--list`` also the names behind them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="print the names as well")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("panneuro_hub"))
    arguments = parser.parse_args()
    figures = read_figures(arguments.folder)
    one_word, shared = figures.one_word_classes, figures.shared_names
    share = 100 * len(one_word) / max(1, len(figures.classes))
    print(f"classes: {len(figures.classes)}, of which {share:.0f} % have a name of one word")
    print(f"functions: {len(figures.functions)}, with {figures.words_per_function:.2f} words each")
    print(f"names of classes with more than one meaning: {len(shared)}")
    print(f"docstrings that begin with a question word: {len(figures.questions)}")
    if arguments.list:
        print("\nclasses of one word:", *one_word, sep="\n  ")
        common = Counter(name for name in figures.functions if "_" not in name).most_common(60)
        print("\nfunctions of one word:", *(f"{name} ({n})" for name, n in common), sep="\n  ")
        print(
            "\nshared names:", *(f"{name}: {files}" for name, files in shared.items()), sep="\n  "
        )
        print("\nquestions:", *figures.questions, sep="\n  ")


if __name__ == "__main__":
    main()

"""What the documents tell people to type and to write is right: commands, YAML and Python."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from docs._ext.generated_reference import trait_classes
from panneuro_hub.client import command
from panneuro_hub.collaboration import Collaboration, load_file

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "collaboration.yaml"
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(
        each
        for each in (ROOT / "docs").rglob("*.md")
        if each.relative_to(ROOT / "docs").parts[0] != "dev" and "generated" not in each.parts
    ),
]
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_FILES = re.compile(r"^(deploy|examples|images|requirements|docs)/[\w./-]+$")
# What a reader makes before the command.
_MADE = ("deploy/kustomize/my-hub", "deploy/my-hub")


@dataclass(frozen=True)
class Block:
    """A block of code in a document."""

    document: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}: {self.text.strip().splitlines()[0][:40]}"


def blocks(*languages: str) -> list[Block]:
    """Return all blocks in some languages."""
    found = []
    for document in DOCUMENTS:
        for indent, language, text in _BLOCK.findall(document.read_text(encoding="utf-8")):
            if language in languages:
                lines = [line.removeprefix(indent) for line in text.splitlines()]
                found.append(Block(document, language, "\n".join(lines)))
    return found


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command of a block, without variables set before it."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            yield words


def written(program: str) -> list[Any]:
    """Return the commands of one program in all documents, as parameters of a test."""
    return [
        pytest.param(words, id=f"{block.document.stem}: {' '.join(words)[:60]}")
        for block in blocks("bash")
        for words in commands(block)
        if Path(words[0]).name == program
    ]


def parse(program: str, words: list[str]) -> None:
    """Let a program take a command line apart, without running it."""
    (script,) = entry_points(group="console_scripts", name=program)
    group = script.load()
    assert isinstance(group, click.Group), import_module(script.module)
    context = click.Context(group, info_name=program)
    name, chosen, rest = group.resolve_command(context, list(words))
    assert chosen is not None
    inner = click.Context(chosen, info_name=name, parent=context)
    if isinstance(chosen, click.Group):  # as `panneuro-hub database upgrade`
        name, chosen, rest = chosen.resolve_command(inner, list(rest))
        assert chosen is not None
        inner = click.Context(chosen, info_name=name, parent=inner)
    _, left, _ = chosen.make_parser(inner).parse_args(args=list(rest))
    assert not left


@pytest.mark.parametrize("words", written("panneuro"))
def test_commands_of_panneuro_exist(words: list[str]) -> None:
    parse("panneuro", words[1:])


@pytest.mark.parametrize("words", written("panneuro-hub"))
def test_commands_of_panneuro_hub_exist(words: list[str]) -> None:
    parse("panneuro-hub", words[1:])


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_bash_can_read_every_block(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", written("kubectl"))
def test_kubectl_names_the_namespace(words: list[str]) -> None:
    """Pods of the hub are not in the default namespace."""
    whole_cluster = {"--kustomize", "kustomize", "namespace", "clusterrole", "nodes"}
    if not whole_cluster & set(words) and "node" not in words:
        assert "--namespace" in words


def test_no_command_installs_the_package_by_its_name() -> None:
    """There is no registry that has it."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert not re.search(r"pip install '?panneuro-hub", text), document


@pytest.mark.parametrize("words", [*written("make")])
def test_targets_of_make_exist(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words[1:]) <= set(targets)


def test_files_that_commands_name_exist() -> None:
    named = {
        word
        for block in blocks("bash")
        for words in commands(block)
        for word in words
        if _FILES.match(word) and not word.startswith(_MADE)
    }
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_can_read_every_block(block: Block) -> None:
    ast.parse(block.text)


def test_names_of_lab_exist() -> None:
    lab = import_module("panneuro_hub.lab")
    for block in blocks("python"):
        for name in re.findall(r"\blab\.(\w+)", block.text):
            assert hasattr(lab, name), f"{block}: lab.{name}"


def parsed() -> list[tuple[Block, Any]]:
    """Return the YAML blocks of all documents with what they hold."""
    yaml = YAML(typ="safe")
    return [(block, yaml.load(block.text)) for block in blocks("yaml")]


def test_parts_of_a_collaboration_file_are_valid(tmp_path: Path) -> None:
    """Each block fits into the example, with the teams that the example has."""
    yaml = YAML(typ="safe")
    tried = 0
    for number, (block, part) in enumerate(parsed()):
        if not set(part) <= set(Collaboration.model_fields):
            continue
        document = yaml.load(EXAMPLE.read_text(encoding="utf-8"))
        for key, value in part.items():
            document[key] = {**document.get(key, {}), **value} if isinstance(value, dict) else value
        file = tmp_path / f"{number}.yaml"
        with file.open("w", encoding="utf-8") as stream:
            yaml.dump(document, stream)
        assert load_file(file), block
        tried += 1
    assert tried > 5


def test_settings_are_ones_that_classes_take() -> None:
    ours = {
        cls.__name__: cls
        for package in ("panneuro_hub.hub", "panneuro_hub.dask")
        for cls in trait_classes(package)
    }
    tried = 0
    for block, part in parsed():
        for name, settings in part.items():
            if name in ours:
                for trait in settings:
                    assert ours[name].class_traits().get(trait), f"{block}: {name}.{trait}"
                    tried += 1
    assert tried


def test_every_variable_is_in_the_reference() -> None:
    """Each variable of ours that the code reads or sets."""
    text = (ROOT / "docs" / "reference" / "environment-variables.md").read_text(encoding="utf-8")
    sources = [*(ROOT / "panneuro_hub").rglob("*.py"), *(ROOT / "deploy").rglob("*.py")]
    used = {
        name
        for source in sources
        for name in re.findall(r"\bPANNEURO_[A-Z_]*[A-Z]\b", source.read_text(encoding="utf-8"))
    }
    known = set(re.findall(r"PANNEURO_[A-Z_]*[A-Z]\b", text))
    assert used == known


def test_every_exit_code_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "panneuro.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    codes = {
        command.FAILED,
        command.USAGE,
        command.DENIED,
        command.RETRY_LATER,
        command.INTERRUPTED,
    }
    assert documented == {0, *codes}

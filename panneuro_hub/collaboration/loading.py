"""Load a file as a `Collaboration`, or report everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from pydantic import ValidationError

from panneuro_hub.collaboration.cross_checks import check_references, check_rules
from panneuro_hub.collaboration.message_words import Finding, KeyPath
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.collaboration.validation_messages import describe_validation_errors
from panneuro_hub.collaboration.yaml_document import YamlDocument, parse_yaml, read_yaml
from panneuro_hub.errors import CollaborationError, FileProblem

CollaborationCheck = Callable[[Collaboration], Iterable[Finding]]
"""A further check of a collaboration that passed all other checks; it yields the problems."""

# Nobody reads more, and a file of nothing but mistakes must not take minutes to refuse.
_MOST_PROBLEMS = 100


def load_file(
    path: str | os.PathLike[str], checks: Sequence[CollaborationCheck] = ()
) -> Collaboration:
    """Read and check a collaboration file.

    Parameters
    ----------
    path : str or path-like
        The YAML file.
    checks : sequence of CollaborationCheck
        Further checks. They run only if nothing is wrong so far, so they need not expect names
        that do not exist or prefixes that overlap.

    Raises
    ------
    CollaborationError
        With every problem, in the order of the file. Problems that span several values are
        reported only if all single values are valid.
    """
    return check_document(read_yaml(path), checks)


def load_text_with_checks(
    text: str, file: str, checks: Sequence[CollaborationCheck] = ()
) -> Collaboration:
    """Check the text of a collaboration file; as `load_file`, and `file` is the name for messages.

    Raises
    ------
    CollaborationError
        As `load_file`.
    """
    return check_document(parse_yaml(text, file), checks)


def check_document(
    document: YamlDocument, checks: Sequence[CollaborationCheck] = ()
) -> Collaboration:
    """Check a document that was read; as `load_file`.

    Raises
    ------
    CollaborationError
        As `load_file`.
    """
    try:
        collaboration = Collaboration.model_validate(document.data)
    except ValidationError as error:
        found = _without_echo(document.findings, describe_validation_errors(error, document))
        raise _refused(document, [*document.findings, *found]) from error
    findings = [*document.findings, *_span(collaboration, checks)]
    if findings:
        raise _refused(document, findings)
    return collaboration


def _span(collaboration: Collaboration, checks: Sequence[CollaborationCheck]) -> list[Finding]:
    findings = [*check_references(collaboration), *check_rules(collaboration)]
    return findings or [finding for check in checks for finding in check(collaboration)]


def _without_echo(first: Iterable[Finding], then: Iterable[Finding]) -> list[Finding]:
    """Return the findings of `then` for which `first` has none at the same key or above it."""
    reported = {path for path, _ in first}
    return [finding for finding in then if not _is_covered(finding[0], reported)]


def _is_covered(path: KeyPath, reported: set[KeyPath]) -> bool:
    return any(path[:length] in reported for length in range(len(path) + 1))


def _refused(document: YamlDocument, findings: Iterable[Finding]) -> CollaborationError:
    problems = sorted({document.problem(path, message) for path, message in findings})
    if len(problems) > _MOST_PROBLEMS:
        rest = len(problems) - _MOST_PROBLEMS
        last = FileProblem(
            document.file, problems[_MOST_PROBLEMS].line, "", f"and {rest} more problems"
        )
        problems = [*problems[:_MOST_PROBLEMS], last]
    return CollaborationError(tuple(problems))

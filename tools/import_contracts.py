"""A kind of import contract for modules that run where only Python is installed."""

from __future__ import annotations

import sys
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.application import contract_utils
from importlinter.domain.helpers import module_expressions_to_modules


class StandardLibraryContract(Contract):
    """Modules that import only the standard library, each other, and some leaf modules.

    The leaf modules keep the same rule, so nothing else is imported by way of them. import-linter's
    own contracts name what is forbidden; this one also forbids packages that nobody has named yet.

    Configuration options:
        - source_modules:  The modules, with all modules in them.
        - allowed_modules: The leaf modules.
        - ignore_imports:  Exceptions. (Optional.)
    """

    type_name = "standard_library"

    source_modules = fields.SetField(subfield=fields.ModuleExpressionField())
    allowed_modules = fields.SetField(subfield=fields.ModuleExpressionField())
    ignore_imports = fields.SetField(subfield=fields.ImportExpressionField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Report each import that is not allowed."""
        options: Any = self
        warnings = contract_utils.remove_ignored_imports_and_report(
            graph=graph,
            ignore_imports=options.ignore_imports,
            unmatched_alerting=contract_utils.AlertLevel.ERROR,
        ).warnings
        inside = _expand(graph, options.source_modules | options.allowed_modules)
        forbidden = [
            f"{module} imports {imported}"
            for module in sorted(inside)
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if imported not in inside and imported.split(".")[0] not in sys.stdlib_module_names
        ]
        metadata = {"forbidden": forbidden}
        return ContractCheck(kept=not forbidden, warnings=warnings, metadata=metadata)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that are not allowed."""
        for line in check.metadata["forbidden"]:
            output.print_error(line)


def _expand(graph: ImportGraph, expressions: Any) -> set[str]:
    modules = {module.name for module in module_expressions_to_modules(graph, expressions)}
    return modules.union(*(graph.find_descendants(name) for name in modules))

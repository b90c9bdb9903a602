"""The modules of the package have an order: none imports itself by way of others."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def sort_modules(graph: grimp.ImportGraph) -> list[str]:
    """Return the modules, each after those that it imports; imports for types count too."""
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    return list(TopologicalSorter(imports).static_order())


def test_no_module_of_the_package_is_in_an_import_circle() -> None:
    graph = grimp.build_graph("panneuro_hub", cache_dir=None)
    assert len(sort_modules(graph)) > 100


def test_an_import_circle_is_found() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a")):
        graph.add_import(importer=importer, imported=imported)
    with pytest.raises(CycleError):
        sort_modules(graph)

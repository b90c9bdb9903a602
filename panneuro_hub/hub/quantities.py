"""Requests of pods and capacities of nodes: amounts of cores, memory and devices; pure.

Source: Kubernetes API reference, Node and Quantity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from panneuro_hub.collaboration.units import format_memory

_QUANTITY = re.compile(
    r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]{1,2})?)(?P<suffix>[KMGTPE]i|[numkMGTPE])?"
)
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}

KubernetesObject = Mapping[str, Any]
Quantities = Mapping[str, Decimal]


def read_node_capacity(node: KubernetesObject) -> dict[str, Decimal]:
    """Return the numeric amounts that an empty node can give to pods."""
    return _amounts(node.get("status", {}).get("allocatable") or {})


def sum_pod_requests(pod: KubernetesObject) -> dict[str, Decimal]:
    """Return a pod's request: that of its containers together, or of its largest init container.

    Source: Kubernetes documentation, "Init Containers", section "Resource sharing within
    containers".
    """
    spec = pod["spec"]
    together: dict[str, Decimal] = {}
    for container in spec.get("containers", ()):
        for name, amount in _requests(container).items():
            together[name] = together.get(name, Decimal(0)) + amount
    for container in spec.get("initContainers", ()):
        for name, amount in _requests(container).items():
            together[name] = max(together.get(name, Decimal(0)), amount)
    return together


def exceeds_every_node(asked: Quantities, nodes: Sequence[Quantities]) -> bool:
    """Return `True` if no node, even if it were empty, has room for the request."""
    return bool(nodes) and not any(
        all(amount <= node.get(name, 0) for name, amount in asked.items()) for node in nodes
    )


def find_largest_capacity(nodes: Iterable[Quantities], names: Iterable[str]) -> dict[str, Decimal]:
    """The most that any of the nodes has of each of these."""
    listed = list(nodes)
    return {name: max(node.get(name, Decimal(0)) for node in listed) for name in names}


def format_quantities(amounts: Quantities) -> str:
    """Amounts as people read them: ``2 cores and 8G memory``."""
    words = []
    for name in sorted(amounts, key=lambda name: (name not in ("cpu", "memory"), name)):
        amount = amounts[name]
        if name == "cpu":
            words.append(f"{amount.normalize():f} core" + ("" if amount == 1 else "s"))
        elif name == "memory":
            words.append(f"{format_memory(int(amount))} memory")
        else:
            words.append(f"{amount.normalize():f} {name}")
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _requests(container: KubernetesObject) -> dict[str, Decimal]:
    return _amounts(container.get("resources", {}).get("requests") or {})


def _amounts(quantities: Mapping[str, Any]) -> dict[str, Decimal]:
    read = ((name, _number(value)) for name, value in quantities.items())
    return {name: amount for name, amount in read if amount is not None}


def _number(quantity: Any) -> Decimal | None:
    """A quantity such as ``500m``, ``2`` or ``8Gi`` as a number."""
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        return None
    try:
        return Decimal(match["number"]) * _SUFFIXES.get(match["suffix"] or "", Decimal(1))
    except InvalidOperation:
        return None

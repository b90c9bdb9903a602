"""What NetworkPolicies let through, as the Kubernetes reference says they are evaluated.

It knows what our policies use: pod selectors with labels and expressions, namespaces by name,
address blocks with exceptions, ports by number and by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod; `ports` are the names of its ports. Without labels it is one of another namespace."""

    labels: Mapping[str, str]
    ports: Mapping[str, int] = field(default_factory=dict)
    namespace: str = ""
    address: str = "10.1.2.3"


@dataclass(frozen=True)
class Outside:
    """An address that is no pod's."""

    address: str


def lets(
    policies: Sequence[Policy], source: Pod | Outside, target: Pod | Outside, port: int
) -> bool:
    """Whether `source` can open a connection to `port` of `target`."""
    leaves = isinstance(source, Outside) or _passes(
        policies, "Egress", source, target, target, port
    )
    return leaves and (
        isinstance(target, Outside) or _passes(policies, "Ingress", target, source, target, port)
    )


def _passes(
    policies: Sequence[Policy],
    direction: str,
    subject: Pod,
    peer: Pod | Outside,
    target: Pod | Outside,
    port: int,
) -> bool:
    applied = [
        policy["spec"]
        for policy in policies
        if not subject.namespace
        and direction in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], subject.labels)
    ]
    if not applied:
        return True
    side = "to" if direction == "Egress" else "from"
    return any(
        _is_port(rule.get("ports"), target, port)
        and (side not in rule or any(_is_peer(one, peer) for one in rule[side]))
        for spec in applied
        for rule in spec.get(direction.lower(), ())
    )


def _is_port(ports: Sequence[Mapping[str, Any]] | None, target: Pod | Outside, port: int) -> bool:
    if ports is None:
        return True
    names = target.ports if isinstance(target, Pod) else {}
    return any(names.get(one["port"], one["port"]) == port for one in ports)


def _is_peer(peer: Mapping[str, Any], other: Pod | Outside) -> bool:
    if "ipBlock" in peer:
        address = ip_address(other.address)
        block = peer["ipBlock"]
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(hole) for hole in block.get("except", ())
        )
    if isinstance(other, Outside):
        return False
    if "namespaceSelector" in peer:
        wanted = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        return other.namespace == wanted
    return not other.namespace and _selects(peer["podSelector"], other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return all(
        labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()
    ) and all(
        one["key"] in labels
        if one["operator"] == "Exists"
        else labels.get(one["key"]) in one["values"]
        for one in selector.get("matchExpressions", ())
    )

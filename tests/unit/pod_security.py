"""What Kubernetes' Pod Security Standard "restricted" would say about a pod.

Source: Kubernetes documentation, "Pod Security Standards".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret"),
}


def problems(spec: Mapping[str, Any]) -> Iterator[str]:
    """Each rule that a pod's spec breaks."""
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", ()):
        if not _VOLUMES & set(volume):
            yield f"volume {volume['name']}"
    whole = spec.get("securityContext", {})
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        for problem in _of_container(container, whole):
            yield f"{container['name']}: {problem}"


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "runAsUser"
    if own.get("seccompProfile", pod.get("seccompProfile")) != {"type": "RuntimeDefault"}:
        yield "seccompProfile"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort"

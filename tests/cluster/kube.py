"""Pods on whatever cluster KUBECONFIG names, by way of kubectl."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

PATIENCE = 600.0  # s, for whatever is waited for; far more than it takes
_NO_IMAGE = ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName")


class PodFailed(AssertionError):
    """A pod did not become what it should."""


@dataclass(frozen=True)
class State:
    """What one container of a pod does."""

    ready: bool
    exit_code: int | None
    waits_for: str

    @classmethod
    def read(cls, status: Mapping[str, Any]) -> State:
        """Of a container's status, as the cluster tells it."""
        state = status["state"]
        ended, waits = state.get("terminated", {}), state.get("waiting", {})
        return cls(status["ready"], ended.get("exitCode"), waits.get("reason", ""))


@dataclass(frozen=True)
class Said:
    """What a program in a pod said, and how it ended."""

    status: int
    text: str


class Cluster:
    """A namespace of one's own in a cluster.

    Parameters
    ----------
    kubeconfig : str
        As the variable KUBECONFIG has it.
    namespace : str
    """

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace

    def kubectl(self, *words: str, give: str | None = None, patience: float = PATIENCE) -> str:
        """Run kubectl in the namespace; what it prints."""
        done = subprocess.run(
            self._command(words),
            input=give,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=patience,
        )
        if done.returncode:
            raise PodFailed(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Make or change objects of the cluster."""
        everything = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "--filename", "-", give=json.dumps(everything))

    @contextmanager
    def pod(self, manifest: Mapping[str, Any], *more: Mapping[str, Any]) -> Iterator[str]:
        """A pod, and objects it needs, until the end of the block; ready in all containers.

        Raises
        ------
        PodFailed
            If a container ends, cannot start, or gets not ready in time; with its log.
        """
        name = manifest["metadata"]["name"]
        self.apply(*more, manifest)
        try:
            self._wait_ready(name, len(manifest["spec"]["containers"]))
            yield name
        finally:
            self.kubectl("delete", "pod", name, "--grace-period=0", "--force")

    def run(
        self, pod: str, container: str, command: Sequence[str], program: str | None = None
    ) -> Said:
        """Run a command in a container that runs; `program` is its standard input."""
        words = ("exec", "--stdin", pod, "--container", container, "--", *command)
        done = subprocess.run(
            self._command(words),
            input=program,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        return Said(done.returncode, done.stdout)

    def logs(self, pod: str) -> str:
        """What all containers of the pod have said."""
        return self.kubectl("logs", pod, "--all-containers", "--prefix", "--tail=40")

    def node_addresses(self) -> list[str]:
        """The inner addresses of the cluster's nodes."""
        path = '{.items[*].status.addresses[?(@.type=="InternalIP")].address}'
        return self.kubectl("get", "nodes", "--output", f"jsonpath={path}").split()

    def wait_for_first(self, kind: str) -> None:
        """Wait until the namespace has an object of this kind."""
        with self._watching(kind) as seen:
            if next(seen, None) is None:
                raise PodFailed(f"the namespace {self.namespace} got no {kind}")

    def _wait_ready(self, pod: str, count: int) -> None:
        with self._watching("pod", pod) as seen:
            for now in seen:
                states = {
                    status["name"]: State.read(status)
                    for status in now["status"].get("containerStatuses", ())
                }
                for name, state in states.items():
                    self._judge(pod, name, state)
                if len(states) == count and all(state.ready for state in states.values()):
                    return
        raise PodFailed(f"{pod} is not ready. {self._tail(pod)}")

    def _judge(self, pod: str, container: str, state: State) -> None:
        if state.waits_for in _NO_IMAGE:
            raise PodFailed(f"{pod}: no image for {container}; run: images/build")
        if state.waits_for.startswith("CreateContainer") or state.exit_code is not None:
            raise PodFailed(f"{container} of {pod} ended: {state}. {self._tail(pod)}")

    def _tail(self, pod: str) -> str:
        return f"{self.kubectl('describe', 'pod', pod)[-1500:]}\n{self.logs(pod)}"

    @contextmanager
    def _watching(self, *words: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Objects, one after the other as they change, until the block or the patience ends."""
        with subprocess.Popen(
            self._command(("get", *words, "--watch", "--output", "json")),
            env=self._environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as watch:
            end = threading.Timer(PATIENCE, watch.terminate)
            end.start()
            try:
                yield _documents(watch.stdout or ())
            finally:
                end.cancel()
                watch.terminate()

    def _command(self, words: Sequence[str]) -> list[str]:
        return ["kubectl", f"--namespace={self.namespace}", *words]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": self.kubeconfig}


def _documents(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """JSON objects that follow each other, printed over several lines each."""
    begun: list[str] = []
    for line in lines:
        begun.append(line)
        if line == "}\n":
            yield json.loads("".join(begun))
            begun.clear()


@contextmanager
def own_namespace(kubeconfig: str) -> Iterator[Cluster]:
    """A namespace that is new, and goes at the end of the block."""
    cluster = Cluster(kubeconfig, f"panneuro-test-{secrets.token_hex(4)}")
    cluster.kubectl("create", "namespace", cluster.namespace)
    try:
        cluster.wait_for_first("serviceaccount")  # no pod is let in before
        yield cluster
    finally:
        cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false")


def is_of_this_machine(address: str) -> bool:
    """Whether one can listen on this address here."""
    with closing(socket.socket()) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True

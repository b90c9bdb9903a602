"""Starts of pods that end, in words, as soon as there is no hope for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError
from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client import ApiException
from kubespawner import KubeSpawner
from tornado.web import HTTPError
from traitlets import Float

from panneuro_hub.hub import start_diagnosis
from panneuro_hub.hub.quantities import Quantities, read_node_capacity
from panneuro_hub.pod import agent_sidecar
from panneuro_hub.wire.refusal import Refusal
from panneuro_hub.wire.session import Session

_OWNER = "hub.jupyter.org/username"  # KubeSpawner's annotation of what it makes
_LOOK_EVERY = 1.0  # s, at the status of a pod that starts; it is in memory
_KNOCK_EVERY = 0.5  # s, at the door of a server that runs and does not listen yet
_KNOCK_LESS = 0.1  # of what has passed already, where that is more
_LIST_NODES_EVERY = 30.0  # s, while a pod finds no room
_WORDS_BEFORE = 5.0  # s, before JupyterHub's own timeout, which has no words


def build_failed_start_error(trouble: start_diagnosis.StartDiagnosis) -> SpawnException:
    """The answer to who waits for a server that will not come."""
    exception = SpawnException(trouble.text, reason=trouble.kind, status_code=503)
    exception.refusal = Refusal(503, "start-failed", trouble.text, {"kind": trouble.kind})
    # JupyterHub shows str(exception), class name and all, unless it finds this.
    exception.jupyterhub_message = trouble.text
    return exception


async def accepts_connections(host: str | None, port: int | None) -> bool:
    """Return `True` if the address accepts connections."""
    try:
        async with asyncio.timeout(_LOOK_EVERY):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


class StartWatcherSpawner(KubeSpawner):
    """KubeSpawner, which waits for pods that can never run, and says nothing in the end.

    What of it is private to KubeSpawner is called by KubeSpawner alone: should it ever not
    be called, a start that fails takes longer and says less.
    """

    # Which the class before this one sets.
    session: Session | None

    hopeless_after = Float(
        60,
        config=True,
        help="""
        Seconds that a start goes on though its pod can hardly come to run: an image that
        cannot be pulled, or a profile larger than any node, for which an autoscaler may
        add one. What cannot become better, such as an image that its registry does not
        have, ends at once.
        """,
    )

    async def _start(self) -> Any:
        """Start as KubeSpawner does, but end when there is no hope, and say why."""
        self._forget_failed_reflectors()
        starting = asyncio.ensure_future(self._start_and_listen())
        watching = asyncio.ensure_future(self._hopeless())
        patience = max(self.start_timeout - _WORDS_BEFORE, 0.9 * self.start_timeout)
        try:
            await asyncio.wait(
                {starting, watching}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if starting.done():
                return starting.result()
            trouble = watching.result() if watching.done() else self._trouble(None)
        except ApiException as error:
            raise build_failed_start_error(self._refusal(error)) from error
        except HTTPError:
            raise  # in words already: ours, or an admin's hook's
        except Exception as error:
            self.log.exception("The start of %s failed", self._log_name)
            # KubeSpawner waits up to a tenth less, or more, than `start_timeout`, by chance, and
            # so may give up before the look above.
            known = self._trouble(None) if isinstance(error, TimeoutError) else None
            raise build_failed_start_error(
                known or start_diagnosis.diagnose_missing_answer(error)
            ) from error
        finally:
            starting.cancel()
            watching.cancel()
            await asyncio.gather(starting, watching, return_exceptions=True)
        # JupyterHub would leave a pod that ended by itself, and with it the ticket's Secret.
        await self.stop(True)
        raise build_failed_start_error(trouble or start_diagnosis.diagnose_slow_start(patience))

    async def prepare_claims(self) -> None:
        """Make ready what a pod's volumes need in addition to its home; here, nothing."""

    async def _start_and_listen(self) -> str:
        await self.prepare_claims()
        # A container counts as ready before its program has done anything, even if that ends
        # at once. And the first start of a day takes longer than JupyterHub's http_timeout.
        url: str = await super()._start()
        address = urlsplit(url)
        # Each look costs the hub half a millisecond: fewer, the longer it takes.
        clock = asyncio.get_running_loop().time
        since = clock()
        while not await accepts_connections(address.hostname, address.port):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(max(_KNOCK_EVERY, _KNOCK_LESS * (clock() - since)))
        return url

    async def _hopeless(self) -> start_diagnosis.StartDiagnosis:
        """Wait until there is no hope that the pod will run; what it is that keeps it."""
        clock = asyncio.get_running_loop().time
        kind, since = "", clock()
        nodes, listed = None, float("-inf")
        while True:
            trouble = self._trouble(nodes)
            if trouble and trouble.is_about_nodes and clock() - listed > _LIST_NODES_EVERY:
                nodes, listed = await self._rooms(), clock()
                trouble = self._trouble(nodes)
            if trouble is None or trouble.kind != kind:
                kind, since = trouble.kind if trouble else "", clock()
            if trouble and trouble.is_hopeless(clock() - since, self.hopeless_after):
                return trouble
            await asyncio.sleep(_LOOK_EVERY)

    def _trouble(self, nodes: Sequence[Quantities] | None) -> start_diagnosis.StartDiagnosis | None:
        seen = self.pod_reflector.pods if self.pod_reflector else {}
        pod = seen.get(f"{self.namespace}/{self.pod_name}")
        # One of the same name, of an earlier session, is on its way out.
        if (
            pod is None
            or self.session is None
            or not agent_sidecar.belongs_to_session(pod, self.session)
        ):
            return None
        return start_diagnosis.diagnose_pod(pod, self.events, nodes)

    async def _rooms(self) -> list[dict[str, Any]] | None:
        """Return the capacity of every node; `None` if the hub has no right to read it."""
        try:
            answer = await asyncio.wait_for(
                self.api.list_node(_preload_content=False), self.k8s_api_request_timeout
            )
            found = json.loads(await answer.read())
        except (ApiException, ClientError, TimeoutError, ValueError) as error:
            self.log.info("The nodes cannot be listed: %s", getattr(error, "status", error))
            return None
        return [read_node_capacity(node) for node in found["items"]] if "items" in found else None

    def _refusal(self, error: ApiException) -> start_diagnosis.StartDiagnosis:
        try:
            answer = json.loads(error.body or "{}")
        except ValueError:
            answer = {}
        what = (answer.get("details") or {}).get("kind", "")
        return start_diagnosis.diagnose_api_refusal(
            what, self.namespace, error.status, answer.get("message") or ""
        )

    async def poll(self) -> int | None:
        """Return the pod's status; a server of which Kubernetes says nothing counts as running.

        JupyterHub takes an error for "not running", forgets the server, and leaves its pod
        without keys and without an end. When the hub has just started, and neither
        Kubernetes nor the server itself answers, this waits for one of the two.
        """
        is_known = True
        while True:
            self._forget_failed_reflectors()
            try:
                status: int | None = await super().poll()
                return status
            except (ApiException, ClientError, OSError, TimeoutError) as error:
                if self.server is None:
                    raise
                if is_known:
                    self.log.warning(
                        "Kubernetes does not say whether the server %s runs (%s): it stays",
                        self._log_name,
                        getattr(error, "status", None) or type(error).__name__,
                    )
                is_known = False
            if self.pending != "check" or await accepts_connections(
                self.server.ip, self.server.port
            ):
                return None
            await asyncio.sleep(_LOOK_EVERY)

    def _forget_failed_reflectors(self) -> None:
        # KubeSpawner keeps one that could not list its pods, or has given up watching them
        # (after a minute of errors), and then never sees any.
        for key, reflector in list(self.reflectors.items()):
            loaded, watching = reflector.first_load_future, reflector.watch_task
            has_failed = loaded.done() and (loaded.cancelled() or loaded.exception())
            if has_failed or (watching is not None and watching.done()):
                del self.reflectors[key]

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        """As KubeSpawner does it, which stops what has the pod's name still, and logs the pod."""
        seen = self.pod_reflector.pods if self.pod_reflector else {}
        self._require_own("pod", seen.get(f"{self.namespace}/{self.pod_name}"))
        session = self.session
        pod.to_str = lambda: f"pod {self.pod_name}"  # the server's token is in the pod
        try:
            made: bool = await super()._make_create_pod_request(pod, request_timeout)
        finally:
            self.session = session
        return made

    async def _make_create_pvc_request(self, pvc: Any, request_timeout: float) -> bool:
        """As KubeSpawner does it, which takes a home that is there, whosever it is."""
        made: bool = await super()._make_create_pvc_request(pvc, request_timeout)
        if made:
            read = self.api.read_namespaced_persistent_volume_claim
            there = await read(name=pvc.metadata.name, namespace=self.namespace)
            self._require_own("home", self.api.api_client.sanitize_for_serialization(there))
        return made

    def _require_own(self, what: str, there: Mapping[str, Any] | None) -> None:
        # KubeSpawner's names end in 32 bits of a hash: somebody who may choose their own name
        # can choose one that comes to another person's.
        owner = ((there or {}).get("metadata", {}).get("annotations") or {}).get(_OWNER)
        if there is not None and owner not in (None, self.user.name):
            self.log.error("The %s of %s is %s's", what, self._log_name, owner)
            raise build_failed_start_error(start_diagnosis.diagnose_foreign_object(what))

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the decisions, the events of Kubernetes, and their meaning."""
        try:
            async for event in super().progress():
                yield event
                meaning = start_diagnosis.explain_event(event.get("raw_event") or {})
                if meaning:
                    yield {"message": meaning}
        except (ApiException, ClientError, OSError, TimeoutError) as error:
            # An error here would end the page's connection, and the page would wait for ever.
            # So the progress ends, and JupyterHub tells how the start itself ends.
            self.log.warning(
                "The events of %s cannot be followed (%s)", self._log_name, type(error).__name__
            )

"""Servers as Kubernetes pods: KubeSpawner, with a session in each."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyterhub.utils import maybe_future
from kubernetes_asyncio.client import ApiException, V1Container, V1Volume, V1VolumeMount
from kubespawner.objects import make_owner_reference
from kubespawner.utils import get_k8s_model
from traitlets import Unicode, default

from panneuro_hub.attach import pods
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub import reasons
from panneuro_hub.hub.choice import Choice
from panneuro_hub.hub.sessions import SessionMixin
from panneuro_hub.hub.watched import WatchedSpawner, cannot_start
from panneuro_hub.wire import Ticket

# What a profile sets on the spawner; an admin's own values are what it is set upon.
_PLACED = ("image", "node_selector", "tolerations", "extra_resource_limits")


class PanNeuroSpawner(SessionMixin, WatchedSpawner):
    """A pod whose agent is a sidecar, so that any image gets keys that renew."""

    after_pod_created_hook: Any  # KubeSpawner's trait, which has no type of its own

    agent_image = Unicode(
        "panneuro/agent:0.1", config=True, help="Container image of the session's agent."
    )

    # The least that a notebook needs; an admin whose image needs more says so.
    @default("uid")
    def _uid_default(self) -> int:
        return 1000

    @default("container_security_context")
    def _container_security_context_default(self) -> dict[str, Any]:
        return pods.NOTEBOOK_SECURITY

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.profile_list:
            raise PanNeuroError(
                "c.KubeSpawner.profile_list is set: profiles come from the collaboration file, "
                "where each project can choose among them; move its entries there"
            )
        self._admins_settings: dict[str, Any] = {}
        self._our_settings: dict[str, Any] = {}
        self._admins_hook: Any = None

    def apply_choice(self, collaboration: Collaboration, choice: Choice) -> None:
        """Set size, image and placement; what an earlier start set is gone."""
        super().apply_choice(collaboration, choice)
        profile = collaboration.profiles[choice.profile]
        admins = self._what_the_admin_set()
        listed = collaboration.images[choice.image].image if choice.image else admins["image"]
        ours = {
            "image": listed,
            "node_selector": {**admins["node_selector"], **profile.kubernetes.node_selector},
            "tolerations": [
                *self._sorted_dict_values(admins["tolerations"]),
                *profile.kubernetes.tolerations,
            ],
            "extra_resource_limits": {
                **admins["extra_resource_limits"],
                **pods.gpu_resources(profile),
            },
        }
        for name, value in ours.items():
            setattr(self, name, value)
        self._our_settings = ours

    def _what_the_admin_set(self) -> dict[str, Any]:
        """The settings that a profile is set upon: hooks of this start have changed some."""
        for name in _PLACED:
            now = getattr(self, name)
            if name not in self._our_settings or now != self._our_settings[name]:
                self._admins_settings[name] = now
        return self._admins_settings

    async def load_user_options(self) -> None:
        """Nothing: the choice is checked and applied, and KubeSpawner's own list is empty.

        It would look for the profile there, refuse every start, and take an image from the
        options that nobody has checked.
        """

    async def keep_ticket(self, ticket: Ticket) -> None:
        """Make ready to put the ticket into a Secret as soon as the pod that owns it exists."""
        hook: Any = self.after_pod_created_hook
        if hook != self._after_pod_created:
            self._admins_hook = hook
            self.after_pod_created_hook = self._after_pod_created

    @property
    def ticket_secret_name(self) -> str:
        """Name of the Secret with the session's ticket; new for every session."""
        if self.session is None:
            raise PanNeuroError("there is no session, and so no Secret for its ticket")
        return pods.ticket_secret_name(self.session.id)

    def get_env(self) -> dict[str, Any]:
        """The notebook container's environment, which says where the agent is."""
        return super().get_env() | pods.client_environment()

    async def get_pod_manifest(self) -> Any:
        """KubeSpawner's pod, with the session's agent, ticket and labels."""
        pod = await super().get_pod_manifest()
        if self.session is None:
            raise PanNeuroError("there is no session, and so no pod for it")
        pod.metadata.labels = {
            **(pod.metadata.labels or {}),
            **pods.labels(self.session, self.user.name),
        }
        notebook = pod.spec.containers[0]
        notebook.volume_mounts = [
            *(notebook.volume_mounts or []),
            get_k8s_model(V1VolumeMount, pods.token_mount()),
        ]
        pod.spec.containers = [
            *pod.spec.containers,
            get_k8s_model(V1Container, pods.agent_container(self.agent_image, self.service_url)),
        ]
        pod.spec.volumes = [
            *(pod.spec.volumes or []),
            *(get_k8s_model(V1Volume, volume) for volume in pods.volumes(self.ticket_secret_name)),
        ]
        return pod

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        # The kubelet wants the Secret at once, or tries again after half a second; the Secret
        # wants the pod's uid, and KubeSpawner looks for that with growing pauses: it is to find
        # it at the first look. It is private to KubeSpawner: should it not be called, a start
        # takes a little longer.
        made: bool = await super()._make_create_pod_request(pod, request_timeout)
        if made:
            await self._until_noticed(f"{self.namespace}/{self.pod_name}")
        return made

    async def _until_noticed(self, pod: str) -> None:
        """Wait until the pod has shown among those that are watched, or half a second."""
        for _ in range(50):
            if self.pod_has_uid(self.pod_reflector.pods.get(pod)):
                return
            await asyncio.sleep(0.01)

    async def _after_pod_created(self, _spawner: Any, pod: dict[str, Any]) -> None:
        await self._create_secret(pod)
        if self._admins_hook is not None:
            await maybe_future(self._admins_hook(self, pod))

    async def _create_secret(self, pod: dict[str, Any]) -> None:
        if self.session is None or self.ticket is None:
            raise PanNeuroError("the session ended while its pod was being made")
        owner = make_owner_reference(self.pod_name, pod["metadata"]["uid"])
        secret = pods.ticket_secret(
            self.ticket_secret_name,
            self.ticket,
            pods.labels(self.session, self.user.name),
            self.api.api_client.sanitize_for_serialization(owner),
        )
        try:
            await asyncio.wait_for(
                self.api.create_namespaced_secret(self.namespace, secret),
                self.k8s_api_request_timeout,
            )
        except (ApiException, TimeoutError) as error:
            # Not the error's own text, which may repeat the request.
            status = getattr(error, "status", None) or "no answer in time"
            message = (
                f"the session's ticket could not be stored in namespace {self.namespace} "
                f"({status}): the hub's service account needs to create Secrets there. "
                f"{reasons.ASK}"
            )
            raise cannot_start(reasons.Trouble("ticket", message, reasons.Hope.NONE)) from error

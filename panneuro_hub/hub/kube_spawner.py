"""Servers as Kubernetes pods: KubeSpawner, with a session in each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit
from weakref import WeakSet

from aiohttp import ClientError
from jupyterhub import orm
from jupyterhub.utils import exponential_backoff, maybe_future, url_path_join
from kubernetes_asyncio.client import ApiException, V1Container, V1Volume, V1VolumeMount
from kubespawner.objects import make_owner_reference
from kubespawner.utils import get_k8s_model
from traitlets import Bool, Unicode, default

from panneuro_hub.collaboration import Collaboration
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub import current_collaboration, start_diagnosis
from panneuro_hub.hub.orphan_pods import find_orphan_pods
from panneuro_hub.hub.session_mixin import SessionMixin
from panneuro_hub.hub.start_choice import StartChoice
from panneuro_hub.hub.start_watcher import StartWatcherSpawner, build_failed_start_error
from panneuro_hub.pod import agent_sidecar, home_volumes
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.session import STATE_KEY

_SWEEP_EVERY = 300.0  # s

# What a profile sets on the spawner; an admin's own values are what it is set upon.
_PLACED = ("image", "node_selector", "tolerations", "extra_resource_limits")


class PanNeuroSpawner(SessionMixin, StartWatcherSpawner):
    """A pod whose agent is a sidecar, so that any image gets keys that renew."""

    after_pod_created_hook: Any  # KubeSpawner's trait, which has no type of its own

    agent_image = Unicode(
        "panneuro/agent:0.1", config=True, help="Container image of the session's agent."
    )

    shared_folder_path = Unicode(
        "/home/researcher/shared",
        config=True,
        help="Where sessions find the shared folder; see shared_folder.",
    )

    end_orphans = Bool(
        True,
        config=True,
        help="""
        Whether to end pods that this hub made for sessions that are not in its database, as
        after the database was lost or put back from a backup. Each is reported in the log.
        """,
    )
    # Of all spawners of this hub.
    _next_sweep = float("-inf")
    _sweep: asyncio.Task[None] | None = None
    _spawners: ClassVar[WeakSet[PanNeuroSpawner]] = WeakSet()

    # The least that a notebook needs; an admin whose image needs more says so.
    @default("uid")
    def _uid_default(self) -> int:
        return 1000

    @default("container_security_context")
    def _container_security_context_default(self) -> dict[str, Any]:
        return agent_sidecar.NOTEBOOK_SECURITY

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
        # The home of all projects, where this account had one before each project had its own.
        self._single_home: str | None = None
        self._shared_claim: str | None = None
        PanNeuroSpawner._spawners.add(self)

    def apply_choice(self, collaboration: Collaboration, choice: StartChoice) -> None:
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
                **agent_sidecar.build_gpu_resources(profile),
            },
        }
        for name, value in ours.items():
            setattr(self, name, value)
        self._our_settings = ours
        self._choose_home(choice.project)

    def _choose_home(self, project: str) -> None:
        """Set the claim of this start's home; KubeSpawner makes it where it is not there."""
        if self._has_admins_claim:
            return
        if self.home_plan.scope == "project":
            claim = home_volumes.name_home_claim(self.account, self.user.name, self.name, project)
        else:
            claim = self._single_claim()
        # KubeSpawner would look for a home that has a name of its older versions.
        self.handle_legacy_names = False
        self.pvc_name = claim
        # It is private to KubeSpawner, which remembers one claim for all starts: should it not
        # be honoured, a home is not made, and the start says which claim there is not.
        self._pvc_exists = False

    @property
    def _has_admins_claim(self) -> bool:
        """Return `True` if the administrator's own KubeSpawner template names the home's claim."""
        return self.home_plan.scope == "person" and not self.storage_pvc_ensure

    def _single_claim(self) -> str:
        """Return the claim of a home of all projects."""
        if self._has_admins_claim:
            return str(self.pvc_name)
        return self._single_home or home_volumes.name_home_claim(
            self.account, self.user.name, self.name, None
        )

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

    async def store_ticket(self, ticket: Ticket) -> None:
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
        return agent_sidecar.name_ticket_secret(self.session.id)

    async def poll(self) -> int | None:
        """Return the pod's status; now and then, look for pods that nobody knows."""
        status = await super().poll()
        clock = asyncio.get_running_loop().time()
        if self.end_orphans and clock >= PanNeuroSpawner._next_sweep:
            PanNeuroSpawner._next_sweep = clock + _SWEEP_EVERY
            # On its own: an error in it says nothing about this server.
            PanNeuroSpawner._sweep = asyncio.create_task(self._end_orphans())
        return status

    async def _end_orphans(self) -> None:
        """End this hub's pods of sessions that it does not know: they would run for ever."""
        seen = self.pod_reflector.pods.values() if self.pod_reflector else ()
        # A start that is under way is known; this leaves time to look at a pod of none.
        age = timedelta(seconds=self.start_timeout + self.http_timeout + _SWEEP_EVERY)
        known = self._stored_sessions() | self._sessions_in_memory()
        now = datetime.now(UTC)
        for namespace, name in list(find_orphan_pods(seen, self._hub_label, known, now, age)):
            self.log.error(
                "The pod %s belongs to no session that this hub knows. It gets no keys, and "
                "nobody can stop it: the hub ends it",
                name,
            )
            try:
                await asyncio.wait_for(
                    self.api.delete_namespaced_pod(name=name, namespace=namespace),
                    self.k8s_api_request_timeout,
                )
            except (ApiException, ClientError, OSError, TimeoutError) as error:
                reason = getattr(error, "status", None) or type(error).__name__
                self.log.warning("The pod %s was not ended (%s)", name, reason)

    def _stored_sessions(self) -> set[str]:
        states = [state for (state,) in self.user.db.query(orm.Spawner.state)]
        return {state[STATE_KEY]["id"] for state in states if state and STATE_KEY in state}

    @staticmethod
    def _sessions_in_memory() -> set[str]:
        # The database has a session only when its start is over.
        sessions = [spawner.session for spawner in PanNeuroSpawner._spawners]
        return {session.id for session in sessions if session is not None}

    @property
    def _hub_label(self) -> str:
        # As JupyterHub makes the pods' JUPYTERHUB_API_URL.
        url = self.hub.api_url
        if self.hub_connect_url is not None:
            url = url_path_join(self.hub_connect_url, urlsplit(url).path)
        return agent_sidecar.make_hub_label(url)

    async def prepare_claims(self) -> None:
        """Find the claim of the shared folder, or make it."""
        if self.home_plan.has_shared_folder:
            self._shared_claim = await self._find_shared_claim()

    async def _find_shared_claim(self) -> str | None:
        """Return the claim of the shared folder, or `None` where nothing is in it.

        Where a single home was before, it becomes the shared folder. A folder that nobody can
        write needs no claim, unless an admin has made one and put something there.
        """
        name = self._single_home or home_volumes.name_shared_claim(self.account, self.user.name)
        if self.home_plan.shared == "read-write" and self.storage_pvc_ensure:
            claim = self.get_pvc_manifest()
            claim.metadata.name = name
            claim.metadata.labels.pop(f"{agent_sidecar.LABEL_PREFIX}project", None)
            await exponential_backoff(
                partial(self._make_create_pvc_request, claim, self.k8s_api_request_timeout),
                f"Could not create the claim {name}",
                timeout=self.k8s_api_request_retry_timeout,
            )
            return name
        return name if await self._has_claim(name) else None

    async def _has_claim(self, name: str) -> bool:
        read = self.api.read_namespaced_persistent_volume_claim
        try:
            there = await asyncio.wait_for(
                read(name=name, namespace=self.namespace), self.k8s_api_request_timeout
            )
        except ApiException as error:
            if error.status == 404:
                return False
            raise
        self._require_own("home", self.api.api_client.sanitize_for_serialization(there))
        return True

    async def delete_forever(self) -> None:
        """Remove the claims of all homes, where the admin wants KubeSpawner to remove one."""
        account, person = self.account, self.user.name
        collaboration = current_collaboration.get_collaboration(self.collaboration_file)
        claims = [
            self._single_claim(),
            *(
                home_volumes.name_home_claim(account, person, self.name, one)
                for one in collaboration.projects
            ),
            *([] if self.name else [home_volumes.name_shared_claim(account, person)]),
        ]
        for claim in claims if self.delete_pvc else claims[:1]:
            self.pvc_name = claim
            await super().delete_forever()

    def get_pvc_manifest(self) -> Any:
        """KubeSpawner's claim, with labels that say whose it is."""
        claim = super().get_pvc_manifest()
        project = self.project if self.home_plan.scope == "project" else None
        claim.metadata.labels = {
            **(claim.metadata.labels or {}),
            **home_volumes.build_claim_labels(self.account, self.user.name, project),
        }
        return claim

    def get_state(self) -> dict[str, Any]:
        """The state to keep, with the single home rather than the last project's."""
        state = super().get_state()
        state.pop("pvc_name", None)
        return state | ({"pvc_name": self._single_home} if self._single_home else {})

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a running pod, and the home that the account had before."""
        super().load_state(state)
        self._single_home = state.get("pvc_name") or self._single_home

    def get_env(self) -> dict[str, Any]:
        """The notebook container's environment, which says where the agent is."""
        return super().get_env() | agent_sidecar.build_client_environment()

    async def get_pod_manifest(self) -> Any:
        """KubeSpawner's pod, with the session's agent, ticket and labels."""
        pod = await super().get_pod_manifest()
        if self.session is None:
            raise PanNeuroError("there is no session, and so no pod for it")
        pod.metadata.labels = {
            **(pod.metadata.labels or {}),
            **agent_sidecar.build_session_labels(self.session, self.user.name),
            agent_sidecar.HUB_LABEL: self._hub_label,
        }
        notebook = pod.spec.containers[0]
        notebook.volume_mounts = [
            *(notebook.volume_mounts or []),
            get_k8s_model(V1VolumeMount, agent_sidecar.build_token_mount()),
        ]
        pod.spec.containers = [
            *pod.spec.containers,
            get_k8s_model(
                V1Container, agent_sidecar.build_agent_container(self.agent_image, self.service_url)
            ),
        ]
        volumes = agent_sidecar.build_session_volumes(self.ticket_secret_name)
        if self.home_plan.has_shared_folder:
            mount = home_volumes.build_shared_mount(self.shared_folder_path, self.home_plan)
            notebook.volume_mounts.append(get_k8s_model(V1VolumeMount, mount))
            volumes.append(home_volumes.build_shared_volume(self._shared_claim, self.home_plan))
        pod.spec.volumes = [
            *(pod.spec.volumes or []),
            *(get_k8s_model(V1Volume, volume) for volume in volumes),
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
        secret = agent_sidecar.build_ticket_secret(
            self.ticket_secret_name,
            self.ticket,
            agent_sidecar.build_session_labels(self.session, self.user.name),
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
                f"{start_diagnosis.ASK_ADMIN}"
            )
            raise build_failed_start_error(
                start_diagnosis.StartDiagnosis("ticket", message, start_diagnosis.StartOutlook.NONE)
            ) from error

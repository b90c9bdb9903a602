"""Why a pod does not come to run, in words for the person who waits; all of it pure.

Kubernetes tries for ever: that an image cannot be had, or that no node is large enough,
it says in a pod's status and events and goes on trying. What is read here is JSON as the
API server sends it.

Source: Kubernetes documentation, "Pod Lifecycle", and the API reference for Pod and Event.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub.quantities import (
    KubernetesObject,
    Quantities,
    exceeds_every_node,
    find_largest_capacity,
    format_quantities,
    sum_pod_requests,
)
from panneuro_hub.pod.agent_sidecar import LABEL_PREFIX

_NO_ROOM, _TOO_LARGE = "room", "size"
_OFTEN = 3  # restarts, after which the next will end like them
_LONGEST = 300  # characters of what others say
ASK_ADMIN = "Ask an admin of this hub."
_NOTEBOOK = "notebook"  # KubeSpawner's name of the container that people work in

_IMPOSSIBLE_IMAGE = ("InvalidImageName", "ErrImageNeverPull")
_NO_IMAGE = (*_IMPOSSIBLE_IMAGE, "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")
_NO_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
# What registries answer where trying again is no use; anything else may be a bad moment.
_NO_SUCH_IMAGE = re.compile(
    r"not found|manifest unknown|denied|unauthorized|forbidden|invalid reference", re.IGNORECASE
)
# Events of the cluster autoscaler, and of Karpenter.
_NODE_COMES = ("TriggeredScaleUp", "Nominated")
_NO_NODE_COMES = "NotTriggerScaleUp"
_NOT_NOW = re.compile(r"max .*size|limit|backoff|not ready|in progress", re.IGNORECASE)

# What keeps a pod that has a node from its containers, in the events of the kubelet and of the
# volumes' controller; and what shows that this is over.
_NOT_MOUNTED = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
_NO_SANDBOX = ("FailedCreatePodSandBox", "FailedCreatePodContainer")
_PREPARED = ("Pulling", "Pulled", "Created", "Started", "SuccessfulAttachVolume")

_KINDS = ("containers", "initContainers")


@dataclass(frozen=True)
class _UnplacedPattern:
    """What the scheduler's words mean where it is not about room.

    Parameters
    ----------
    says : Pattern
        Of its words.
    kind, text : str
        As in `StartDiagnosis`; the words follow the text.
    lasts : bool
        Whether it hardly ends by itself.
    """

    says: re.Pattern[str]
    kind: str
    text: str
    lasts: bool = True


_ROOM = re.compile(r"Insufficient |Too many pods", re.IGNORECASE)
# In the order in which they decide. The first two are about the pod, whatever nodes there are.
_UNPLACED = (
    _UnplacedPattern(
        re.compile(r"unbound immediate PersistentVolumeClaims|didn't find available persistent"),
        "volume",
        "there is no volume yet for {claims}, which this server needs",
        lasts=False,  # a provisioner may need minutes
    ),
    _UnplacedPattern(
        re.compile(r'persistentvolumeclaims? "[^"]*" (?:not found|is being deleted)'),
        "volume",
        "{claims}, which this server needs, cannot be used",
    ),
    # Nodes that are not ready now may be the ones of the right kind and zone: the scheduler looks
    # at taints first.
    _UnplacedPattern(
        re.compile(r"\{node\.(?:cloudprovider\.)?kubernetes\.io/(?!unschedulable)"),
        "placement",
        "every node that {profile} could run on is not ready now",
        lasts=False,
    ),
    _UnplacedPattern(
        re.compile(r"unschedulable"),
        "placement",
        "every node that {profile} could run on is closed for new servers now",
        lasts=False,
    ),
    _UnplacedPattern(
        re.compile(r"volume node affinity conflict|volume.{1,20}zone"),
        "volume",
        "the volume of {claims} can be reached from no node that this server may run on",
    ),
    _UnplacedPattern(
        re.compile(r"exceed max volume count"),
        "volume",
        "no node can take a further volume now",
        lasts=False,
    ),
    _UnplacedPattern(
        re.compile(r"didn't match (?:node selector|Pod's node affinity|pod affinity|pod anti)"),
        "placement",
        "this cluster has no node of the kind that {profile} asks for",
    ),
    _UnplacedPattern(
        re.compile(r"had (?:untolerated )?taints?\b"),
        "placement",
        "every node that {profile} could run on is kept for other work",
    ),
)


class StartOutlook(Enum):
    """Whether a pod in trouble may come to run yet."""

    NONE = "none"  # waiting is no use
    LITTLE = "little"  # it may have been a bad moment, but not for long
    SOME = "some"  # as when nodes are full, or one is being added


@dataclass(frozen=True)
class StartDiagnosis:
    """What keeps a pod from running.

    Parameters
    ----------
    kind : str
        One word, for metrics.
    text : str
        For the person who waits.
    hope : StartOutlook
    """

    kind: str
    text: str
    hope: StartOutlook

    @property
    def is_about_nodes(self) -> bool:
        """Whether more could be said by who knows the nodes."""
        return self.kind in (_NO_ROOM, _TOO_LARGE)

    def is_hopeless(self, lasted: float, patience: float) -> bool:
        """Whether to give up after `lasted` seconds, with patience for a bad moment."""
        return self.hope is StartOutlook.NONE or (
            self.hope is StartOutlook.LITTLE and lasted >= patience
        )


def diagnose_pod(
    pod: KubernetesObject,
    events: Iterable[KubernetesObject] = (),
    nodes: Sequence[Quantities] | None = None,
) -> StartDiagnosis | None:
    """What keeps a pod from running, or `None` where nothing is known to.

    Parameters
    ----------
    pod : dict
    events : iterable of dict
        Those about the pod, in their order; about others of its name too.
    nodes : sequence of mapping of str to Decimal, or None
        What every node can give to pods, where that is known; see `amounts.room`.
    """
    about = [one for one in events if one["involvedObject"].get("uid") == pod["metadata"]["uid"]]
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return None
    if status.get("phase") == "Failed":
        said = ": ".join(_said(status, "reason", "message")) or "Kubernetes does not say why"
        return StartDiagnosis("ended", f"its pod ended: {said}. {ASK_ADMIN}", StartOutlook.NONE)
    unplaced = _unplaced(status)
    if unplaced is not None:
        return _without_node(pod, unplaced, about, nodes)
    for container in (*status.get("initContainerStatuses", ()), *_containers(status)):
        found = _in_container(_as_asked(container, pod["spec"]), about)
        if found:
            return found
    return _unprepared(about)


def diagnose_slow_start(seconds: float) -> StartDiagnosis:
    """What is said where nothing else is known."""
    text = f"the server did not start within {seconds:.0f} seconds. Try again, or ask an admin."
    return StartDiagnosis("timeout", text, StartOutlook.NONE)


def diagnose_missing_answer(error: BaseException) -> StartDiagnosis:
    """Return what is said where the Kubernetes API was asked and gave no answer of its own.

    Parameters
    ----------
    error : BaseException
        Its text is not shown, which may repeat the request; what verifies certificates says
        nothing but what is wrong with one.
    """
    refused = [one for one in _causes(error) if isinstance(one, ssl.SSLCertVerificationError)]
    if refused:
        # aiohttp's own class counts as one of these, and has no such message.
        said = next((str(getattr(one, "verify_message", "")) for one in reversed(refused)), "")
        text = f"the hub does not trust the certificate of the Kubernetes API: {_short(said)}"
        return StartDiagnosis("certificate", f"{text.rstrip(': ')}. {ASK_ADMIN}", StartOutlook.NONE)
    if isinstance(error, TimeoutError):  # which is an OSError as well
        text = "Kubernetes did not do in time what this start needs. Try again later"
        return StartDiagnosis(
            "kubernetes", f"{text}, or ask an admin of this hub.", StartOutlook.NONE
        )
    if any(isinstance(one, OSError) for one in _causes(error)):
        text = f"the Kubernetes API does not answer ({type(error).__name__}). Try again later"
        return StartDiagnosis(
            "kubernetes", f"{text}, or ask an admin of this hub.", StartOutlook.NONE
        )
    if isinstance(error, PanNeuroError):
        return StartDiagnosis("error", f"{str(error).rstrip('.')}. {ASK_ADMIN}", StartOutlook.NONE)
    text = f"the start failed ({type(error).__name__}), and the hub's log says where"
    return StartDiagnosis("error", f"{text}. {ASK_ADMIN}", StartOutlook.NONE)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # aiohttp keeps the error of the connection in a field of its own.
        error = (
            getattr(error, "certificate_error", None)
            or getattr(error, "os_error", None)
            or error.__cause__
        )


def diagnose_foreign_object(what: str) -> StartDiagnosis:
    """What is said where a name leads to what belongs to somebody else."""
    text = f"the {what} of your account's name in the cluster is another account's. {ASK_ADMIN}"
    return StartDiagnosis("name", text, StartOutlook.NONE)


# -- images and containers ------------------------------------------------------------------


def _in_container(
    status: KubernetesObject, events: Sequence[KubernetesObject]
) -> StartDiagnosis | None:
    waiting = status.get("state", {}).get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in _NO_IMAGE:
        return _without_image(status, waiting, events)
    if reason in _NO_CONTAINER:
        text = f"{_whose(status)} cannot be started: {_short(waiting.get('message') or reason)}"
        return StartDiagnosis("container", f"{text}. {ASK_ADMIN}", StartOutlook.LITTLE)
    if reason == "CrashLoopBackOff":
        return _ending(status)
    return None


def _without_image(
    status: KubernetesObject, waiting: KubernetesObject, events: Sequence[KubernetesObject]
) -> StartDiagnosis:
    why = _pull_error(status, waiting, events)
    never = waiting["reason"] in _IMPOSSIBLE_IMAGE or _NO_SUCH_IMAGE.search(why)
    image = _image(status)
    name = status["name"]
    ours = "" if name == _NOTEBOOK else f" of the container {name}, which belongs to the hub,"
    if waiting["reason"] == "InvalidImageName":
        text = f"the image {image}{ours} cannot be pulled: that is no name of an image"
    else:
        text = f"the image {image}{ours} cannot be pulled" + (f": {why}" if why else "")
    return StartDiagnosis(
        "image", f"{text}. {ASK_ADMIN}", StartOutlook.NONE if never else StartOutlook.LITTLE
    )


def _pull_error(
    status: KubernetesObject, waiting: KubernetesObject, events: Sequence[KubernetesObject]
) -> str:
    """What the registry answered: in the status at first, and then in events only."""
    if waiting["reason"] != "ImagePullBackOff" and waiting.get("message"):
        return _short(waiting["message"])
    quoted = f'"{status["image"]}"'
    for event in reversed(events):
        message = event.get("message") or ""
        if event.get("reason") == "Failed" and "pull image" in message and quoted in message:
            return _short(message.partition(quoted)[2].lstrip(": "))
    return ""


def _ending(status: KubernetesObject) -> StartDiagnosis:
    last = status.get("lastState", {}).get("terminated") or {}
    said = f"exit code {last['exitCode']}" if "exitCode" in last else "again and again"
    if last.get("message"):
        said = f"{said}: {_short(last['message'])}"
    elif last.get("reason") == "OOMKilled":
        said = f"{said}: it needed more memory than the profile has"
    hint = "" if status["name"] != _NOTEBOOK else " It may have no jupyterhub-singleuser in it."
    return StartDiagnosis(
        "container",
        f"{_whose(status)} ends as soon as it is started ({said}).{hint} {ASK_ADMIN}",
        StartOutlook.NONE if status.get("restartCount", 0) >= _OFTEN else StartOutlook.LITTLE,
    )


def _whose(status: KubernetesObject) -> str:
    if status["name"] == _NOTEBOOK:
        return f"the image {_image(status)}"
    return f"the container {status['name']}, which belongs to the hub,"


def _image(status: KubernetesObject) -> str:
    return _short(str(status.get("image", "")))


# -- nodes ----------------------------------------------------------------------------------


def _without_node(
    pod: KubernetesObject,
    message: str,
    events: Sequence[KubernetesObject],
    nodes: Sequence[Quantities] | None,
) -> StartDiagnosis:
    other = _misplaced(pod, message, events)
    if other is not None:
        return other
    asked = sum_pod_requests(pod)
    is_too_large = nodes is not None and exceeds_every_node(asked, nodes)
    profile = pod["metadata"].get("labels", {}).get(f"{LABEL_PREFIX}profile", "")
    named = f"the profile {profile}" if profile else "this pod"
    comes, says = _autoscaler(events)
    if comes:
        return StartDiagnosis(
            "node", "a node is being added to the cluster for it", StartOutlook.SOME
        )
    if is_too_large:
        text = (
            f"no node of this cluster is large enough for {named}, which needs "
            f"{format_quantities(asked)}: the most that a node has is "
            f"{format_quantities(find_largest_capacity(nodes or (), asked))}"
        )
        hope = StartOutlook.LITTLE
    else:
        text = f"no node has room for {named} now, which needs {format_quantities(asked)}"
        text = f"{text}: {_short(message)}" if message else text
        hope = StartOutlook.SOME
    # Where a node is large enough, somebody may leave it.
    if says and not _NOT_NOW.search(says) and (nodes is None or is_too_large):
        text = f"{text}; and the cluster can add none that has ({_short(says)})"
        hope = StartOutlook.LITTLE
    return StartDiagnosis(
        _TOO_LARGE if is_too_large else _NO_ROOM, f"{text}. {_choose(hope)}", hope
    )


def _misplaced(
    pod: KubernetesObject, message: str, events: Sequence[KubernetesObject]
) -> StartDiagnosis | None:
    """Return what keeps a pod from all nodes where that is not their room."""
    reason = _unplaced_reason(message)
    if reason is None:
        return None
    comes, _ = _autoscaler(events)
    if comes:
        return StartDiagnosis(
            "node", "a node is being added to the cluster for it", StartOutlook.SOME
        )
    profile = pod["metadata"].get("labels", {}).get(f"{LABEL_PREFIX}profile", "")
    text = reason.text.format(
        claims=_claims(pod), profile=f"the profile {profile}" if profile else "this server"
    )
    hope = StartOutlook.LITTLE if reason.lasts else StartOutlook.SOME
    return StartDiagnosis(reason.kind, f"{text}: {_short(message)}. {ASK_ADMIN}", hope)


def _unplaced_reason(message: str) -> _UnplacedPattern | None:
    found = next((one for one in _UNPLACED if one.says.search(message)), None)
    # What some nodes lack matters only where none of the others is merely full.
    if found is not None and found not in _UNPLACED[:2] and _ROOM.search(message):
        return None
    return found


def _claims(pod: KubernetesObject) -> str:
    """Return the claims of a pod, in words."""
    volumes = pod["spec"].get("volumes") or ()
    names = [
        one["persistentVolumeClaim"]["claimName"]
        for one in volumes
        if one.get("persistentVolumeClaim")
    ]
    if not names:
        return "its claim"
    return f"the claim{'s' if len(names) > 1 else ''} {' and '.join(names)}"


def _unprepared(events: Sequence[KubernetesObject]) -> StartDiagnosis | None:
    """Return what keeps the containers of a pod that has a node from being made.

    There is hope: such an event may be old, since nothing is reported when its cause is gone, and
    a volume that another node still holds comes free after some minutes.
    """
    for event in reversed(events):
        reason, said = event.get("reason"), _short(event.get("message") or "")
        if reason in _PREPARED:
            return None
        if reason in _NOT_MOUNTED:
            text = f"a volume of this server cannot be mounted: {said}"
            return StartDiagnosis("volume", f"{text}. {ASK_ADMIN}", StartOutlook.SOME)
        if reason in _NO_SANDBOX:
            text = f"the node cannot make the pod of this server: {said}"
            return StartDiagnosis("node-fault", f"{text}. {ASK_ADMIN}", StartOutlook.SOME)
    return None


def _choose(hope: StartOutlook) -> str:
    if hope is StartOutlook.SOME:
        return "Try again later, or choose a smaller profile."
    return "Choose a smaller profile, or ask an admin of this hub."


def _autoscaler(events: Sequence[KubernetesObject]) -> tuple[bool, str]:
    """Whether a node is being added, and if it says that none will, why; its last word."""
    for event in reversed(events):
        if event.get("reason") in _NODE_COMES:
            return True, ""
        if event.get("reason") == _NO_NODE_COMES:
            return False, (event.get("message") or "").partition(":")[2].strip()
    return False, ""


def _unplaced(status: KubernetesObject) -> str | None:
    """Why the scheduler found no node, or `None` where it has, or has not looked yet."""
    for condition in status.get("conditions") or ():
        said = (condition.get("type"), condition.get("status"), condition.get("reason"))
        if said == ("PodScheduled", "False", "Unschedulable"):
            return str(condition.get("message") or "")
    return None


# -- what KubeSpawner asks for and is refused -----------------------------------------------


def diagnose_api_refusal(
    what: str, namespace: str, status: int | None, message: str
) -> StartDiagnosis:
    """What it means that the API server did not make what a start needs.

    Parameters
    ----------
    what : str
        What was to be made: ``pods``; ``""`` where it is not known.
    namespace : str
    status : int or None
        Of the answer.
    message : str
        The answer's own words; they may repeat what was asked for, and are shown only
        where Kubernetes is known to say nothing of the kind.
    """
    _, is_quota, quota = message.partition("exceeded quota: ")
    if status == 403 and is_quota:
        text = f"the namespace {namespace} has used up its quota: {_short(quota)}"
        return StartDiagnosis("quota", f"{text}. {_choose(StartOutlook.LITTLE)}", StartOutlook.NONE)
    if status == 403 and "violates PodSecurity" in message:
        said = _short(message[message.index("violates PodSecurity") :])
        text = f"Kubernetes does not let such a pod into the namespace {namespace}: it {said}"
        return StartDiagnosis("policy", f"{text}. {ASK_ADMIN}", StartOutlook.NONE)
    limit = re.search(r"(?:maximum|minimum) \w+ usage per \w+ is [^,\]]*", message)
    if status == 403 and limit:
        text = f"the namespace {namespace} does not allow a pod of this size: {_short(limit[0])}"
        return StartDiagnosis(
            "limits", f"{text}. {_choose(StartOutlook.LITTLE)}", StartOutlook.NONE
        )
    right = re.search(r'cannot (\w+) resource "([\w./-]+)"', message)
    if status == 403 and (right or not message):
        does = f"{right[1]} {right[2]}" if right else f"do all that it must with {what or 'pods'}"
        text = (
            f"the hub may not {does} in the namespace {namespace}: its service account lacks "
            "the right"
        )
        return StartDiagnosis("rights", f"{text}. {ASK_ADMIN}", StartOutlook.NONE)
    text = (
        f"Kubernetes did not make the {what or 'objects'} of this server ({status or 'no answer'})"
    )
    return StartDiagnosis(
        "kubernetes", f"{text}; the hub's log says why. {ASK_ADMIN}", StartOutlook.NONE
    )


# -- the progress page ----------------------------------------------------------------------


def explain_event(event: KubernetesObject) -> str | None:
    """What an event means for who waits, where its own words leave that open."""
    reason, message = event.get("reason"), event.get("message") or ""
    other = _unplaced_reason(message) if reason == "FailedScheduling" else None
    if other is not None and other.kind == "volume":
        return "No node can be chosen while a volume is missing; waiting for it."
    if other is not None:
        return "No node takes this server now; waiting for one that does."
    if reason in _NOT_MOUNTED:
        return "A volume is not mounted yet; trying again."
    if reason in _NO_SANDBOX:
        return "The node could not make the pod yet; trying again."
    if reason == "FailedScheduling":
        return "No node has room for this server now: waiting for one, or for a node to be added."
    if reason in _NODE_COMES:
        return "A node is being added to the cluster for this server; that takes some minutes."
    if reason == "Failed" and "pull image" in message:
        return "The image could not be pulled; trying again."
    return None


# -- small things ---------------------------------------------------------------------------


def _as_asked(status: KubernetesObject, spec: KubernetesObject) -> KubernetesObject:
    """A container's status with the image's name as it was asked for: an image has several."""
    named = {one["name"]: one for kind in _KINDS for one in spec.get(kind, ())}
    asked = named.get(status["name"], {}).get("image")
    return {**status, "image": asked} if asked else status


def _containers(status: KubernetesObject) -> Sequence[KubernetesObject]:
    found: Sequence[KubernetesObject] = status.get("containerStatuses") or ()
    return found


def _said(status: KubernetesObject, *names: str) -> list[str]:
    return [_short(str(status[name])) for name in names if status.get(name)]


def _short(text: str) -> str:
    """One line of another program's words, without its full stop."""
    line = " ".join(text.split()).rstrip(". ")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"

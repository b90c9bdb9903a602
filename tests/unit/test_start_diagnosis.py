"""Why a pod does not run, in words: from what Kubernetes says of it."""

from __future__ import annotations

import json
import ssl
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import ClientConnectorCertificateError
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.hub import quantities, start_diagnosis
from panneuro_hub.hub.start_diagnosis import StartDiagnosis, StartOutlook

UID = "5d0a"
IMAGE = "registry.example.org/lab/neuro:1"
TOO_FULL = "0/3 nodes are available: 3 Insufficient cpu."


def pod(
    requests: dict[str, Any] | None = None, first: dict[str, Any] | None = None, **status: Any
) -> dict[str, Any]:
    return {
        "metadata": {"uid": UID, "labels": {"panneuro.org/profile": "large"}},
        "spec": {
            "containers": [
                {"name": "notebook", "resources": {"requests": requests or {}}},
                {"name": "panneuro-agent", "resources": {"requests": {"cpu": "5m"}}},
            ],
            "initContainers": [{"name": "first", "resources": {"requests": first or {}}}],
        },
        "status": status,
    }


def container(
    reason: str, message: str = "", name: str = "notebook", **more: Any
) -> dict[str, Any]:
    waiting = {"reason": reason, **({"message": message} if message else {})}
    return {"name": name, "image": IMAGE, "state": {"waiting": waiting}, **more}


def event(reason: str, message: str, uid: str = UID) -> dict[str, Any]:
    return {"involvedObject": {"uid": uid}, "reason": reason, "message": message}


def unplaced(message: str = TOO_FULL, **requests: Any) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod(requests, phase="Pending", conditions=[{**condition, "message": message}])


def node(**allocatable: Any) -> dict[str, Decimal]:
    return quantities.read_node_capacity({"status": {"allocatable": allocatable}})


def found(*words: Any) -> StartDiagnosis:
    trouble = start_diagnosis.diagnose_pod(*words)
    assert trouble is not None
    return trouble


# -- nothing wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"phase": "Pending"},
        {"phase": "Pending", "conditions": None, "containerStatuses": None},
        {"phase": "Pending", "containerStatuses": [container("ContainerCreating")]},
        {"phase": "Pending", "containerStatuses": [container("PodInitializing")]},
        {"phase": "Running", "containerStatuses": [{"name": "notebook", "state": {"running": {}}}]},
        {"conditions": [{"type": "PodScheduled", "status": "True"}]},
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulerError"}]},
        {"conditions": [{"type": "Ready", "status": "False", "reason": "Unschedulable"}]},
    ],
)
def test_a_pod_that_is_on_its_way_is_in_no_trouble(status: dict[str, Any]) -> None:
    assert start_diagnosis.diagnose_pod(pod(**status)) is None


def test_nor_is_one_that_is_being_deleted() -> None:
    going = pod(containerStatuses=[container("InvalidImageName")])
    going["metadata"]["deletionTimestamp"] = "2026-11-22T20:00:00Z"
    assert start_diagnosis.diagnose_pod(going) is None


# -- images ---------------------------------------------------------------------------------


def test_a_name_that_is_none_is_hopeless() -> None:
    trouble = found(pod(containerStatuses=[container("InvalidImageName")]))
    assert trouble == StartDiagnosis(
        "image",
        f"the image {IMAGE} cannot be pulled: that is no name of an image. "
        "Ask an admin of this hub.",
        StartOutlook.NONE,
    )


@pytest.mark.parametrize(
    ("answer", "hope"),
    [
        (f'failed to resolve reference "{IMAGE}": {IMAGE}: not found', StartOutlook.NONE),
        ("manifest unknown: manifest unknown", StartOutlook.NONE),
        ("pull access denied, repository does not exist", StartOutlook.NONE),
        ("unexpected status code 401 Unauthorized", StartOutlook.NONE),
        ("dial tcp: lookup registry.example.org: i/o timeout", StartOutlook.LITTLE),
        ("429 Too Many Requests - toomanyrequests", StartOutlook.LITTLE),
        ("connect: connection refused", StartOutlook.LITTLE),
    ],
)
def test_what_the_registry_answered_is_said_and_weighed(answer: str, hope: StartOutlook) -> None:
    trouble = found(pod(containerStatuses=[container("ErrImagePull", answer)]))
    assert (trouble.kind, trouble.hope) == ("image", hope)
    assert trouble.text.startswith(f"the image {IMAGE} cannot be pulled: {answer}")
    # And the same while the kubelet waits, when only an event knows.
    waits = pod(containerStatuses=[container("ImagePullBackOff", f'Back-off pulling "{IMAGE}"')])
    told = event("Failed", f'Failed to pull image "{IMAGE}": {answer}')
    assert found(waits, [told, event("Failed", "Error: ImagePullBackOff")]) == trouble
    # Of another pod, and of another image of this one, it is not told.
    others = [
        event("Failed", told["message"], uid="another"),
        event("Failed", 'Failed to pull image "other:1": not found'),
    ]
    assert found(waits, others).text == (
        f"the image {IMAGE} cannot be pulled. Ask an admin of this hub."
    )
    assert found(waits, others).hope is StartOutlook.LITTLE


def test_it_is_called_what_the_collaboration_calls_it() -> None:
    other = {**container("InvalidImageName"), "image": "sha256:0123"}
    made = pod(containerStatuses=[other])
    made["spec"]["containers"][0]["image"] = IMAGE
    assert found(made).text.startswith(f"the image {IMAGE} cannot")


def test_an_image_of_the_hubs_own_is_said_to_be_so() -> None:
    trouble = found(pod(containerStatuses=[container("ErrImageNeverPull", name="panneuro-agent")]))
    assert "of the container panneuro-agent, which belongs to the hub, cannot" in trouble.text


def test_first_containers_are_looked_at_too() -> None:
    waits = {"containerStatuses": [container("PodInitializing")]}
    status = {"initContainerStatuses": [container("InvalidImageName", name="first")], **waits}
    assert "container first" in found(pod(**status)).text


# -- containers -----------------------------------------------------------------------------


def test_a_container_that_ends_again_and_again() -> None:
    said = 'exec: "jupyterhub-singleuser": executable file not found in $PATH'
    last = {"lastState": {"terminated": {"exitCode": 128, "message": said}}}
    once = found(pod(containerStatuses=[container("CrashLoopBackOff", restartCount=1, **last)]))
    assert once.hope is StartOutlook.LITTLE
    often = found(pod(containerStatuses=[container("CrashLoopBackOff", restartCount=3, **last)]))
    assert often.hope is StartOutlook.NONE
    assert often.text == (
        f"the image {IMAGE} ends as soon as it is started (exit code 128: {said}). "
        "It may have no jupyterhub-singleuser in it. Ask an admin of this hub."
    )


def test_a_container_that_needs_more_memory_is_told_apart() -> None:
    last = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    status = container("CrashLoopBackOff", restartCount=5, **last)
    assert "more memory than the profile has" in found(pod(containerStatuses=[status])).text


def test_a_container_that_cannot_be_made() -> None:
    said = "container has runAsNonRoot and image will run as root"
    trouble = found(pod(containerStatuses=[container("CreateContainerConfigError", said)]))
    assert trouble.hope is StartOutlook.LITTLE
    assert trouble.text == (
        f"the image {IMAGE} cannot be started: {said}. Ask an admin of this hub."
    )


def test_a_pod_that_was_put_out() -> None:
    evicted = pod(phase="Failed", reason="Evicted", message="The node was low on memory.")
    assert found(evicted).text.startswith("its pod ended: Evicted: The node was low on memory. Ask")
    assert found(evicted).hope is StartOutlook.NONE
    assert "does not say why" in found(pod(phase="Failed")).text


# -- nodes ----------------------------------------------------------------------------------


def test_full_nodes_are_waited_for() -> None:
    trouble = found(unplaced(cpu="1", memory="1Gi"), [], [node(cpu="2", memory="4Gi")])
    assert (trouble.kind, trouble.hope) == ("room", StartOutlook.SOME)
    assert trouble.text == (
        "no node has room for the profile large now, which needs 1.005 cores and 1G memory: "
        "0/3 nodes are available: 3 Insufficient cpu. Try again later, or choose a smaller profile."
    )


def test_unknown_nodes_are_waited_for_too() -> None:
    assert found(unplaced(cpu="640"), [], None).hope is StartOutlook.SOME
    assert found(unplaced(cpu="640"), [], []).hope is StartOutlook.SOME


def test_larger_than_every_node_is_said_with_the_numbers() -> None:
    nodes = [node(cpu="7900m", memory="30Gi"), node(cpu="4", memory="62Gi")]
    trouble = found(unplaced(cpu="16", memory="64Gi"), [], nodes)
    assert (trouble.kind, trouble.hope) == ("size", StartOutlook.LITTLE)
    assert trouble.text == (
        "no node of this cluster is large enough for the profile large, which needs "
        "16.005 cores and 64G memory: the most that a node has is 7.9 cores and 62G memory. "
        "Choose a smaller profile, or ask an admin of this hub."
    )


def test_no_node_has_all_of_it_though_each_thing_is_somewhere() -> None:
    nodes = [node(cpu="8", memory="1Gi"), node(cpu="1", memory="64Gi")]
    assert found(unplaced(cpu="6", memory="32Gi"), [], nodes).kind == "size"


def test_a_gpu_that_no_node_has() -> None:
    asked = {"cpu": "1", "nvidia.com/gpu": 1}
    trouble = found(unplaced(**asked), [], [node(cpu="8")])
    assert "needs 1.005 cores and 1 nvidia.com/gpu: the most" in trouble.text
    assert "8 cores and 0 nvidia.com/gpu" in trouble.text
    assert found(unplaced(**asked), [], [node(cpu="8", **{"nvidia.com/gpu": "4"})]).kind == "room"


@pytest.mark.parametrize("reason", ["TriggeredScaleUp", "Nominated"])
def test_a_node_that_comes_is_waited_for_however_small_the_others_are(reason: str) -> None:
    comes = event(reason, "pod triggered scale-up: [{gpu-pool 0->1 (max: 4)}]")
    trouble = found(unplaced(cpu="64"), [comes], [node(cpu="2")])
    assert (trouble.kind, trouble.hope) == ("node", StartOutlook.SOME)


@pytest.mark.parametrize(
    ("says", "hope"),
    [
        ("1 Insufficient cpu, 2 Insufficient memory", StartOutlook.LITTLE),
        ("2 node(s) didn't match Pod's node affinity/selector", StartOutlook.LITTLE),
        ("1 max node group size reached, 1 Insufficient cpu", StartOutlook.SOME),
        ("2 in backoff after failed scale-up", StartOutlook.SOME),
        ("", StartOutlook.SOME),
    ],
)
def test_an_autoscaler_that_can_add_none_is_believed(says: str, hope: StartOutlook) -> None:
    told = event("NotTriggerScaleUp", f"pod didn't trigger scale-up: {says}")
    trouble = found(unplaced(cpu="4"), [told], None)
    assert trouble.hope is hope
    assert ("can add none" in trouble.text) is (hope is StartOutlook.LITTLE)
    assert found(unplaced(cpu="4"), [told], [node(cpu="2")]).kind == "size"
    # But for a node that is large enough: somebody may leave it.
    assert found(unplaced(cpu="4"), [told], [node(cpu="8")]).hope is StartOutlook.SOME


def test_the_autoscalers_last_word_counts() -> None:
    yes, no = event("TriggeredScaleUp", ""), event("NotTriggerScaleUp", "no: 1 Insufficient cpu")
    assert found(unplaced(), [no, yes]).kind == "node"
    assert found(unplaced(), [yes, no]).hope is StartOutlook.LITTLE  # the nodes are not known


def test_the_largest_first_container_counts_alone() -> None:
    asked = quantities.sum_pod_requests(
        pod({"cpu": "1", "memory": "2G"}, {"cpu": "3", "memory": "1G"})
    )
    assert asked == {"cpu": Decimal(3), "memory": Decimal(2_000_000_000)}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", "2"),
        (2, "2"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        ("8Gi", str(8 * 1024**3)),
        ("8G", "8000000000"),
        ("128974848", "128974848"),
        ("129e6", "129000000"),
        ("129M", "129000000"),
        ("123456Ki", str(123456 * 1024)),
        ("1E", "1000000000000000000"),
        ("100u", "0.0001"),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str | int, number: str) -> None:
    assert node(cpu=text) == {"cpu": Decimal(number)}


@pytest.mark.parametrize("text", ["", "much", "1.2.3", "8 Gi", "Gi", None, "1e999"])
def test_what_is_no_quantity_counts_as_not_known(text: Any) -> None:
    assert node(cpu=text) == {}


sizes = st.fixed_dictionaries(
    {"cpu": st.integers(0, 64).map(Decimal), "memory": st.integers(0, 64).map(Decimal)}
)


@given(sizes, st.lists(sizes, max_size=4))
def test_too_much_is_what_no_single_node_could_hold(
    asked: dict[str, Decimal], nodes: list[dict[str, Decimal]]
) -> None:
    fits = [one["cpu"] >= asked["cpu"] and one["memory"] >= asked["memory"] for one in nodes]
    assert quantities.exceeds_every_node(asked, nodes) is (bool(nodes) and True not in fits)


@given(sizes, st.lists(sizes, min_size=1, max_size=4), sizes)
def test_another_node_never_takes_hope_away(
    asked: dict[str, Decimal], nodes: list[dict[str, Decimal]], more: dict[str, Decimal]
) -> None:
    if not quantities.exceeds_every_node(asked, nodes):
        assert not quantities.exceeds_every_node(asked, [*nodes, more])


# -- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        (
            'pods is forbidden: User "system:serviceaccount:lab:hub" cannot create resource '
            '"pods" in API group "" in the namespace "lab"',
            "rights",
            "the hub may not create pods in the namespace lab: its service account lacks the right",
        ),
        (
            'pods "jupyter-ada" is forbidden: exceeded quota: all, requested: limits.memory=8Gi, '
            "used: limits.memory=60Gi, limited: limits.memory=64Gi",
            "quota",
            "the namespace lab has used up its quota: all, requested: limits.memory=8Gi, used:",
        ),
        (
            'pods "jupyter-ada" is forbidden: violates PodSecurity "restricted:latest": '
            'privileged (container "x" must not set securityContext.privileged=true)',
            "policy",
            "Kubernetes does not let such a pod into the namespace lab: it violates PodSecurity",
        ),
        ("", "rights", "the hub may not do all that it must with pods in the namespace lab"),
    ],
)
def test_refusals_are_told_apart(message: str, kind: str, says: str) -> None:
    trouble = start_diagnosis.diagnose_api_refusal("pods", "lab", 403, message)
    assert (trouble.kind, trouble.hope) == (kind, StartOutlook.NONE)
    assert trouble.text.startswith(says)
    assert "sk an admin of this hub" in trouble.text


@pytest.mark.parametrize("status", [None, 400, 403, 422, 500])
def test_what_may_repeat_the_pod_is_not_shown(status: int | None) -> None:
    message = 'Pod "jupyter-ada" is invalid: env[3].value: Invalid value: "the-secret"'
    trouble = start_diagnosis.diagnose_api_refusal("pods", "lab", status, message)
    assert "the-secret" not in trouble.text
    assert str(status or "no answer") in trouble.text
    assert "log" in trouble.text


# -- giving up ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hope", "lasted", "over"),
    [
        (StartOutlook.NONE, 0, True),
        (StartOutlook.LITTLE, 59, False),
        (StartOutlook.LITTLE, 60, True),
        (StartOutlook.SOME, 1e6, False),
    ],
)
def test_patience_is_for_what_may_get_better(hope: StartOutlook, lasted: float, over: bool) -> None:
    assert StartDiagnosis("image", "", hope).is_hopeless(lasted, 60) is over


def test_only_who_could_do_with_another_node_is_about_nodes() -> None:
    assert found(unplaced()).is_about_nodes
    assert found(unplaced(cpu="64"), [], [node(cpu="2")]).is_about_nodes
    assert not found(unplaced(), [event("TriggeredScaleUp", "")]).is_about_nodes
    assert not found(pod(phase="Failed")).is_about_nodes


@pytest.mark.parametrize(
    ("reason", "message", "says"),
    [
        ("FailedScheduling", TOO_FULL, "No node has room"),
        ("TriggeredScaleUp", "", "A node is being added"),
        ("Failed", f'Failed to pull image "{IMAGE}": rpc error', "could not be pulled"),
        ("Failed", "Error: ImagePullBackOff", None),
        ("Pulling", f'Pulling image "{IMAGE}"', None),
    ],
)
def test_the_progress_page_says_what_an_event_means(
    reason: str, message: str, says: str | None
) -> None:
    meaning = start_diagnosis.explain_event(event(reason, message))
    assert meaning is None if says is None else says in (meaning or "")


# -- whatever comes -------------------------------------------------------------------------

words = st.text(max_size=400)
statuses = st.fixed_dictionaries(
    {"name": st.sampled_from(["notebook", "panneuro-agent"]), "image": words},
    optional={
        "state": st.fixed_dictionaries(
            {},
            optional={
                "waiting": st.fixed_dictionaries(
                    {
                        "reason": st.sampled_from(
                            [*start_diagnosis._NO_IMAGE, *start_diagnosis._NO_CONTAINER, ""]
                        )
                    },
                    optional={"message": st.none() | words},
                ),
                "running": st.just({}),
            },
        ),
        "lastState": st.just({}) | st.just({"terminated": {"exitCode": 1}}),
    },
)


@given(
    st.lists(statuses, max_size=3),
    st.lists(st.tuples(st.sampled_from(["Failed", "NotTriggerScaleUp", "x"]), words), max_size=3),
    st.none() | words,
)
def test_whatever_is_said_becomes_one_sentence_or_more_on_one_line(
    containers: list[dict[str, Any]], told: list[tuple[str, str]], unplaced_for: str | None
) -> None:
    made = unplaced(unplaced_for) if unplaced_for is not None else pod()
    made["status"]["containerStatuses"] = containers
    trouble = start_diagnosis.diagnose_pod(made, [event(*one) for one in told], [node(cpu="1")])
    json.dumps(made)
    if trouble is not None:
        assert len(trouble.text) < 1200
        assert trouble.text.splitlines() == [trouble.text]
        assert trouble.text.endswith(".")


# -- what is not about room -------------------------------------------------------------------

NODES = "0/3 nodes are available: "


@pytest.mark.parametrize(
    ("message", "kind", "says", "hope"),
    [
        (
            "0/1 nodes are available: 1 pod has unbound immediate PersistentVolumeClaims.",
            "volume",
            "there is no volume yet for the claim home-ada",
            StartOutlook.SOME,
        ),
        (
            NODES + "pod has unbound immediate PersistentVolumeClaims. preemption: not helpful",
            "volume",
            "there is no volume yet",
            StartOutlook.SOME,
        ),
        (
            NODES + "1 node(s) didn't find available persistent volumes to bind, 2 Insufficient "
            "cpu.",
            "volume",
            "there is no volume yet",
            StartOutlook.SOME,
        ),
        (
            'persistentvolumeclaim "home-ada" not found',
            "volume",
            "cannot be used",
            StartOutlook.LITTLE,
        ),
        (
            NODES + "3 node(s) had volume node affinity conflict.",
            "volume",
            "can be reached from no node",
            StartOutlook.LITTLE,
        ),
        (
            NODES + "3 node(s) exceed max volume count.",
            "volume",
            "further volume",
            StartOutlook.SOME,
        ),
        (
            NODES + "3 node(s) didn't match Pod's node affinity/selector.",
            "placement",
            "no node of the kind that the profile large asks for",
            StartOutlook.LITTLE,
        ),
        (
            NODES + "3 node(s) didn't match node selector.",
            "placement",
            "no node of the kind",
            StartOutlook.LITTLE,
        ),
        (
            NODES + "3 node(s) had taint {gpu: true}, that the pod didn't tolerate.",
            "placement",
            "kept for other work",
            StartOutlook.LITTLE,
        ),
        (NODES + "3 node(s) were unschedulable.", "placement", "closed", StartOutlook.SOME),
        (
            NODES + "3 node(s) had untolerated taint {node.kubernetes.io/unschedulable: }.",
            "placement",
            "closed",
            StartOutlook.SOME,
        ),
        (
            NODES + "2 node(s) didn't match Pod's node affinity/selector, 1 node(s) were "
            "unschedulable.",
            "placement",
            "closed",
            StartOutlook.SOME,
        ),
        *(
            (
                f"{NODES}{others}1 node(s) had {had} {{{taint}: }}{tolerate}.",
                "placement",
                "every node that the profile large could run on is not ready now",
                StartOutlook.SOME,
            )
            for others in (
                "",
                "2 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, ",
                "2 node(s) didn't match Pod's node affinity/selector, ",
                "2 node(s) had volume node affinity conflict, ",
            )
            for had, tolerate in (
                ("untolerated taint", ""),
                ("taint", ", that the pod didn't tolerate"),
            )
            for taint in (
                "node.kubernetes.io/not-ready",
                "node.kubernetes.io/unreachable",
                "node.kubernetes.io/disk-pressure",
                "node.cloudprovider.kubernetes.io/uninitialized",
            )
        ),
    ],
)
def test_the_scheduler_s_other_reasons_are_not_taken_for_room(
    message: str, kind: str, says: str, hope: StartOutlook
) -> None:
    waiting = unplaced(message, cpu="1")
    waiting["spec"]["volumes"] = [
        {"name": "home", "persistentVolumeClaim": {"claimName": "home-ada"}},
        {"name": "token", "emptyDir": {}},
    ]
    trouble = found(waiting, (), [node(cpu="64")])
    assert (trouble.kind, trouble.hope) == (kind, hope)
    assert says in trouble.text
    assert "smaller profile" not in trouble.text
    assert not trouble.is_about_nodes


@pytest.mark.parametrize(
    "others",
    [
        "1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate",
        "1 node(s) didn't match Pod's node affinity/selector",
        "1 node(s) were unschedulable",
    ],
)
def test_where_some_nodes_are_merely_full_it_is_about_room(others: str) -> None:
    assert found(unplaced(f"{NODES}{others}, 2 Insufficient cpu.", cpu="1")).kind == "room"


def test_a_node_that_comes_is_waited_for_by_who_needs_a_kind_of_node() -> None:
    waiting = unplaced(NODES + "3 node(s) didn't match node selector.")
    assert found(waiting, [event("TriggeredScaleUp", "")]).kind == "node"


@pytest.mark.parametrize(
    ("reason", "message", "kind"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "x": secret "y" not found', "volume"),
        ("FailedMount", 'MountVolume.SetUp failed: configmap "y" not found', "volume"),
        ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"', "volume"),
        ("FailedMapVolume", "MapVolume.SetUp failed", "volume"),
        ("FailedCreatePodSandBox", "failed to set up the network", "node-fault"),
    ],
)
def test_what_keeps_a_placed_pod_from_its_containers(reason: str, message: str, kind: str) -> None:
    placed = pod(phase="Pending", containerStatuses=[container("ContainerCreating")])
    trouble = found(placed, [event("Scheduled", ""), event(reason, message)])
    assert (trouble.kind, trouble.hope) == (kind, StartOutlook.SOME)
    assert message.partition('"')[0] in trouble.text
    assert start_diagnosis.explain_event({"reason": reason, "message": message})
    # It was a bad moment, as when a pod is there before its ticket.
    later = [event(reason, message), event("Pulling", "")]
    assert start_diagnosis.diagnose_pod(placed, later) is None


def test_a_pod_that_a_namespace_does_not_allow_is_told_the_limit() -> None:
    message = (
        'pods "jupyter-ada" is forbidden: maximum memory usage per Container is 1Gi, but limit is '
        "64G"
    )
    trouble = start_diagnosis.diagnose_api_refusal("pods", "hub", 403, message)
    assert trouble.kind == "limits"
    assert "maximum memory usage per Container is 1Gi" in trouble.text


def test_a_certificate_that_is_not_trusted_is_named() -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "self-signed certificate"
    wrapped = ClientConnectorCertificateError(None, refused)  # type: ignore[arg-type]
    trouble = start_diagnosis.diagnose_missing_answer(wrapped)
    assert (trouble.kind, trouble.hope) == ("certificate", StartOutlook.NONE)
    assert trouble.text == (
        "the hub does not trust the certificate of the Kubernetes API: self-signed certificate. "
        "Ask an admin of this hub."
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError("secret"), "kubernetes"),
        (OSError("secret"), "kubernetes"),
        (KeyError("secret"), "error"),
        (RuntimeError("secret"), "error"),
    ],
)
def test_any_other_error_of_a_start_becomes_a_sentence(error: Exception, kind: str) -> None:
    trouble = start_diagnosis.diagnose_missing_answer(error)
    assert trouble.kind == kind
    assert type(error).__name__ in trouble.text
    assert "secret" not in trouble.text


def test_a_sentence_of_ours_stays_one() -> None:
    trouble = start_diagnosis.diagnose_missing_answer(
        PanNeuroError("the session ended while its pod was being made")
    )
    assert trouble.text.startswith("the session ended while its pod was being made. ")

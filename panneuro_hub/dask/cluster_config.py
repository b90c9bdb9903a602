"""What every cluster of a project is, wherever its processes run; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panneuro_hub.access import merge_dask_limits
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.pod.session_environment import build_data_environment
from panneuro_hub.wire.session import Session

CHOICE_KEY = "panneuro"
"""Where in a cluster's configuration it stands what it is; set by the gateway alone."""

STARTED_IN_KEY = "started_in"
"""Where below `CHOICE_KEY` the id of the session stands that started the cluster."""

PRELOAD_MODULE = "panneuro_hub.lab.tls_workaround"
"""What schedulers, workers and nannies preload, so that none loses a healthy connection."""


def build_cluster_traits(
    collaboration: Collaboration,
    session: Session,
    variables: Mapping[str, str],
    service_url: str,
) -> dict[str, Any]:
    """The traits of dask-gateway's ``ClusterConfig`` that a session sets; no secret.

    Parameters
    ----------
    session : Session
        Its profile is a worker profile.
    variables : mapping of str to str
        The person's own environment, checked.
    service_url : str
        The PanNeuro service, as the cluster reaches it.
    """
    profile = collaboration.dask.worker_profiles[session.profile]
    store = collaboration.stores[collaboration.projects[session.project].store]
    idle = merge_dask_limits(collaboration, session.project).idle_timeout
    return {
        CHOICE_KEY: {
            "session": session.id,
            "project": session.project,
            "profile": session.profile,
            "image": session.image,
        },
        "worker_cores": profile.cpu,
        "worker_memory": profile.memory,
        "worker_threads": max(1, int(profile.cpu)),
        "idle_timeout": idle.total_seconds() if idle else 0.0,
        # Ours come last: nobody's own variable replaces one.
        "environment": {**variables, **build_data_environment(store, session.project, service_url)},
    }

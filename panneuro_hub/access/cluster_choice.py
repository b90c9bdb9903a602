"""`check_cluster_choice`: check the options of a requested Dask cluster; pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from panneuro_hub.access.types import Access
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.wire import Denial, Reason
from panneuro_hub.wording import denied, invalid_choice, no_access


@dataclass(frozen=True)
class ClusterChoice:
    """A cluster's project, and a worker profile and an image that it allows; all checked.

    Parameters
    ----------
    project, profile : str
        `profile` is a worker profile.
    image : str or None
        `None` if the collaboration lists no images.
    """

    project: str
    profile: str
    image: str | None


def check_cluster_choice(
    collaboration: Collaboration, access: Access, profile: str, image: str | None
) -> ClusterChoice:
    """Check the options of a cluster against the person's access to the project.

    Parameters
    ----------
    access : Access
        The person's access, as `decide_access` returned it for the same collaboration.
    profile : str
        A worker profile's name; any text from outside.
    image : str or None
        An image's name; any text from outside.

    Raises
    ------
    AccessDeniedError
        If the person has no access, or the project does not offer what was chosen.
    InvalidChoiceError
        If an image is needed and missing, or given although the collaboration lists no images.
    """
    project = access.project
    if access.level is None or access.dask is None:
        raise no_access(project, access.reasons)
    offered = access.dask.worker_profiles
    if not offered:
        none = Reason("none-offered", project, kind="worker profile")
        raise denied(Denial("start", "cluster", "", project, (none,)))
    if profile not in offered:
        wrong = Reason("not-offered", project, kind="worker profile", names=offered)
        raise denied(Denial("use", "worker profile", profile, project, (wrong,)))
    return ClusterChoice(project, profile, _image(collaboration, access, image))


def _image(collaboration: Collaboration, access: Access, image: str | None) -> str | None:
    project = access.project
    names = tuple(offer.name for offer in access.images)
    if not collaboration.images:
        if image is not None:
            none = Reason(
                "no-catalogue",
                project,
                kind="image",
                collaboration=collaboration.name,
                detail=image,
            )
            raise invalid_choice(none)
        return None
    if not names:
        left = Reason("none-offered", project, kind="image")
        raise denied(Denial("start", "cluster", "", project, (left,)))
    if image is None:
        raise invalid_choice(Reason("choose-image", project, names=names))
    if image not in names:
        wrong = Reason("not-offered", project, kind="image", names=names)
        raise denied(Denial("use", "image", image, project, (wrong,)))
    return image

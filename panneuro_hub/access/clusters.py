"""`cluster_choice`: whether a Dask cluster may be what somebody asks for; pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from panneuro_hub.access.types import Access
from panneuro_hub.access.wording import listed, shorten
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.errors import AccessDenied, InvalidChoice


@dataclass(frozen=True)
class ClusterChoice:
    """A cluster's project, and a worker profile and an image that it allows; all checked.

    Parameters
    ----------
    project, profile : str
        `profile` is a worker profile.
    image : str or None
        `None` where the collaboration lists no images.
    """

    project: str
    profile: str
    image: str | None


def cluster_choice(
    collaboration: Collaboration, access: Access, profile: str, image: str | None
) -> ClusterChoice:
    """Check what a cluster shall be against what the person may do in the project.

    Parameters
    ----------
    access : Access
        The person's, as `decide` found it with the same collaboration.
    profile : str
        A worker profile's name; any text from outside.
    image : str or None
        An image's name; any text from outside.

    Raises
    ------
    AccessDenied
        If the person has no access, or what is chosen is not the project's; the text
        says why.
    InvalidChoice
        If an image must be chosen and is not, or is where there are none.
    """
    project = access.project
    if access.level is None or access.dask is None:
        raise AccessDenied(f"you have no access to {shorten(project)}: {access.reason}")
    offered = access.dask.worker_profiles
    if not offered:
        raise AccessDenied(
            f"no cluster can start in {project}: it has no worker profiles, which "
            "dask.worker_profiles of the collaboration file lists"
        )
    if profile not in offered:
        raise AccessDenied(
            f"worker profile {shorten(profile)} may not be used in {project}: "
            f"it offers {listed(offered)}"
        )
    return ClusterChoice(project, profile, _image(collaboration, access, image))


def _image(collaboration: Collaboration, access: Access, image: str | None) -> str | None:
    names = [offer.name for offer in access.images]
    if not collaboration.images:
        if image is not None:
            raise InvalidChoice(
                f"image {shorten(image)} cannot be chosen: {collaboration.name} lists no images"
            )
        return None
    if not names:
        raise AccessDenied(f"no cluster can start in {access.project}: no image remains there")
    if image is None:
        raise InvalidChoice(f"choose an image; {access.project} offers {listed(names)}")
    if image not in names:
        raise AccessDenied(
            f"image {shorten(image)} may not be used in {access.project}: it offers {listed(names)}"
        )
    return image

"""Messages for the person who starts a session; pure."""

from __future__ import annotations

from collections.abc import Iterator

from panneuro_hub.access import Access
from panneuro_hub.collaboration import Collaboration, ServerProfile
from panneuro_hub.collaboration.units import format_memory
from panneuro_hub.hub.start_choice import StartChoice
from panneuro_hub.wording import describe_reasons, describe_target


def describe_decisions(
    collaboration: Collaboration, access: Access, choice: StartChoice
) -> Iterator[str]:
    """Return the decisions for a start, line by line, for the progress page."""
    project = collaboration.projects[access.project]
    because = describe_reasons(access.reasons)
    yield f"Project {project.title} ({access.project}): {access.level}. {because}"
    for grant in access.grants:
        yield f"You may {grant.mode} {grant.prefix}: {describe_reasons(grant.reasons)}"
    for denial in access.denied:
        yield f"Not given: {describe_target(denial)}: {describe_reasons(denial.reasons)}"
    profile = collaboration.profiles[choice.profile]
    yield f"Profile {profile.title}: {describe_profile(profile)}"
    if choice.image:
        image = collaboration.images[choice.image]
        yield f"Image {image.title} ({image.image})"


def describe_profile(profile: ServerProfile) -> str:
    """A profile's size and price: ``2 cores, 8G memory, $0.12 an hour``."""
    cores = f"{profile.cpu:g} core" + ("" if profile.cpu == 1 else "s")
    gpu = f", {profile.gpu} GPU" + ("s" if profile.gpu > 1 else "") if profile.gpu else ""
    price = format_price(profile.price_per_hour)
    return f"{cores}, {format_memory(profile.memory)} memory{gpu}, {price}"


def format_price(usd_per_hour: float) -> str:
    """A price for people: ``$0.12 an hour``, or ``free of charge``."""
    return f"${usd_per_hour:.2f} an hour" if usd_per_hour else "free of charge"

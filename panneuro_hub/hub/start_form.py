"""The start form: a person's projects with their level, and each one's profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from panneuro_hub.access import Access
from panneuro_hub.access.types import SessionOffer
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.hub.session_messages import describe_profile
from panneuro_hub.hub.start_choice import make_field_name
from panneuro_hub.pages import load_templates
from panneuro_hub.wording import describe_reasons

_LEVELS = {"read": "read", "write": "read and write", "manage": "manage"}
_templates = load_templates("panneuro_hub.hub")


@dataclass(frozen=True)
class FormOption:
    """One thing that can be picked."""

    name: str
    title: str
    detail: str
    reason: str
    picked: bool


@dataclass(frozen=True)
class ProjectOption(FormOption):
    """A project that can be picked, with what can be picked in it."""

    level: str
    profile_field: str
    image_field: str
    profiles: tuple[FormOption, ...]
    images: tuple[FormOption, ...]


def render_start_form(
    collaboration: Collaboration,
    accesses: Mapping[str, Access],
    last: Mapping[str, Any],
    wanted: Mapping[str, str] | None = None,
    homes: str = "",
) -> str:
    """Make the form's HTML; everything in it is escaped by the template.

    Parameters
    ----------
    accesses : mapping of str to Access
        The person's access in every project.
    last : mapping
        The options of the last start; untrusted, only compared with names.
    wanted : mapping, optional
        What `read_next` read for who comes to open a copy of a notebook; untrusted as well.
    homes : str, optional
        What people are told of their home folders.
    """
    wanted = wanted or {}
    ticked = {option: wanted[option] for option in ("project", "image") if option in wanted}
    projects = build_project_options(collaboration, accesses, {**last, **ticked})
    closed = [
        (name, collaboration.projects[name].title, describe_reasons(access.reasons))
        for name, access in accesses.items()
        if access.level is None
    ]
    return _templates.get_template("start.html").render(
        title=collaboration.title,
        homes=homes,
        projects=projects,
        closed=closed,
        copy=wanted.get("copy"),
        copy_project=wanted.get("project"),
        missing_image=_missing(projects, wanted),
    )


def build_project_options(
    collaboration: Collaboration, accesses: Mapping[str, Access], last: Mapping[str, Any]
) -> list[ProjectOption]:
    """The projects that can be picked; the last one, or else the first, is picked."""
    names = [name for name, access in accesses.items() if access.level and access.profiles]
    picked = _pick(names, last.get("project"))
    return [
        ProjectOption(
            name=name,
            title=collaboration.projects[name].title,
            detail=accesses[name].grants[0].prefix,
            reason=describe_reasons(accesses[name].reasons),
            picked=name == picked,
            level=_LEVELS[str(accesses[name].level)],
            profile_field=make_field_name("profile", name),
            image_field=make_field_name("image", name),
            profiles=_profiles(collaboration, accesses[name].profiles, last),
            images=_images(collaboration, accesses[name].images, last),
        )
        for name in names
    ]


def _missing(projects: list[ProjectOption], wanted: Mapping[str, str]) -> str | None:
    """The image that is wanted, where its project does not offer it."""
    project = next((one for one in projects if one.name == wanted.get("project")), None)
    offered = [option.name for option in project.images] if project else []
    image = wanted.get("image")
    return None if image in offered else image


def _pick(names: list[str], last: Any) -> str | None:
    if isinstance(last, str) and last in names:
        return last
    return names[0] if names else None


def _profiles(
    collaboration: Collaboration, offers: tuple[SessionOffer, ...], last: Mapping[str, Any]
) -> tuple[FormOption, ...]:
    picked = _pick([offer.name for offer in offers], last.get("profile"))
    options = []
    for offer in offers:
        profile = collaboration.profiles[offer.name]
        words = (profile.description, describe_profile(profile))
        detail = ". ".join(word for word in words if word)
        options.append(
            FormOption(
                offer.name,
                profile.title,
                detail,
                describe_reasons(offer.reasons),
                offer.name == picked,
            )
        )
    return tuple(options)


def _images(
    collaboration: Collaboration, offers: tuple[SessionOffer, ...], last: Mapping[str, Any]
) -> tuple[FormOption, ...]:
    picked = _pick([offer.name for offer in offers], last.get("image"))
    return tuple(
        FormOption(
            offer.name,
            collaboration.images[offer.name].title,
            collaboration.images[offer.name].image,
            describe_reasons(offer.reasons),
            offer.name == picked,
        )
        for offer in offers
    )

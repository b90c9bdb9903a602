"""A person's choices for a start, read as data and checked against their access.

Options come from the form, from a link's query or from a REST body; all are
untrusted and all pass through `check_start_choice`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from panneuro_hub.access import Access, choose_access
from panneuro_hub.access.types import SessionOffer
from panneuro_hub.catalog.notebook_records import find_notebook_problem, split_label
from panneuro_hub.errors import InvalidChoiceError
from panneuro_hub.names import is_name
from panneuro_hub.phrases import shorten
from panneuro_hub.wire import Denial, Reason
from panneuro_hub.wire.copy_links import COPY_PARAMETER, IMAGE_PARAMETER, read_copy_query
from panneuro_hub.wording import denied, no_access

OPTION_NAMES = ("project", "profile", "image")
# In the form every project has its own lists: profile--PROJECT and image--PROJECT.
PER_PROJECT_OPTIONS = ("profile", "image")
_LONGEST = 253


@dataclass(frozen=True)
class StartChoice:
    """A project, and a profile and an image that it allows; all of them checked.

    Parameters
    ----------
    project, profile : str
    image : str or None
        `None` where the collaboration lists no images.
    """

    project: str
    profile: str
    image: str | None

    def to_user_options(self) -> dict[str, str]:
        """The JupyterHub user options that choose the same again."""
        options = {"project": self.project, "profile": self.profile}
        return options | {"image": self.image} if self.image else options


def read_start_form(form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Turn submitted form fields (or a query) into JupyterHub user options.

    Fields that are not ours are passed on as they are, for an admin's own hooks.
    """
    fields = {
        field: values[0] if len(values) == 1 else list(values)
        for field, values in form.items()
        if not field.startswith("_")  # _xsrf
    }
    project = fields.get("project")
    for option in PER_PROJECT_OPTIONS:
        if option not in fields and make_field_name(option, str(project)) in fields:
            fields[option] = fields[make_field_name(option, str(project))]
    return {
        field: value
        for field, value in fields.items()
        if value != ""
        and not field.startswith(tuple(f"{option}--" for option in PER_PROJECT_OPTIONS))
    }


def read_copy_choice(address: str) -> dict[str, str]:
    """Return the choices to preselect for a person who opens a copy of a notebook.

    Parameters
    ----------
    address : str
        Where they go once the server runs; untrusted.

    Returns
    -------
    dict
        ``project``, ``image`` and ``copy``, the notebook's name; nothing where they come
        for something else.
    """
    said = read_copy_query(address)
    project, _, rest = said.get(COPY_PARAMETER, "").partition("/")
    name, _ = split_label(rest)
    if not is_name(project) or find_notebook_problem(name) is not None:
        return {}
    image = said.get(IMAGE_PARAMETER, "")
    # The form shows it: a link must not put sentences there.
    return {"project": project, "copy": said[COPY_PARAMETER]} | (
        {"image": image} if is_name(image) else {}
    )


def make_field_name(option: str, project: str) -> str:
    """The form field of an option that every project has its own list of."""
    return f"{option}--{project}"


def check_start_choice(
    options: Mapping[str, Any], accesses: Mapping[str, Access], *, others_allowed: bool = False
) -> StartChoice:
    """Check what was chosen against what the person may choose.

    What is not chosen gets its default: the only project, the first profile and
    image that the access offers.

    Parameters
    ----------
    options : mapping
        Untrusted JupyterHub user options.
    accesses : mapping of str to Access
        The person's access in every project.
    others_allowed : bool
        Whether an admin's own hook reads further options.

    Raises
    ------
    InvalidChoiceError
        If an option is unknown or not text, or something must be chosen and is not.
    AccessDenied
        If what is chosen is not this person's to choose; the text says why.
    """
    unknown = sorted(str(option) for option in options if option not in OPTION_NAMES)
    if unknown and not others_allowed:
        raise InvalidChoiceError(
            f"unknown option {shorten(unknown[0])}; a start takes {', '.join(OPTION_NAMES)}"
        )
    asked = {option: _text(options, option) for option in OPTION_NAMES}
    access = choose_access(accesses, asked["project"])
    project = access.project
    if access.level is None:
        raise no_access(project, access.reasons)
    profile = _offered("profile", asked["profile"], access.profiles, access)
    if profile is None:
        raise denied(Denial("start", "server", "", project, _why_no_profile(access)))
    return StartChoice(project, profile, _offered("image", asked["image"], access.images, access))


def _text(options: Mapping[str, Any], option: str) -> str:
    value = options.get(option)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise InvalidChoiceError(f"{option} must be one name, as text")
    return value


def _why_no_profile(access: Access) -> tuple[Reason, ...]:
    against = [
        reason
        for denial in access.denied
        if denial.kind in ("profile", "server")
        for reason in denial.reasons
    ]
    return tuple(against) or (Reason("not-offered", access.project, kind="profile"),)


def _offered(
    kind: Literal["profile", "image"], name: str, offers: Sequence[SessionOffer], access: Access
) -> str | None:
    if not name:
        return offers[0].name if offers else None
    if any(offer.name == name for offer in offers):
        return name
    for denial in access.denied:
        if (denial.kind, denial.name) == (kind, name):
            raise denied(denial)
    names = tuple(offer.name for offer in offers)
    unknown = Reason("not-offered", access.project, kind=kind, names=names)
    raise denied(Denial("use", kind, name, access.project, (unknown,)))

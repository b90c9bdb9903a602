"""The page that answers "why can't I?": a person's own access, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from panneuro_hub.access import Access
from panneuro_hub.collaboration import Collaboration

_templates = Environment(
    loader=PackageLoader("panneuro_hub.service", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_access(
    collaboration: Collaboration, person: str, accesses: Mapping[str, Access], hub: str
) -> str:
    """Make the HTML of the page: open projects first, and every reason there is.

    Parameters
    ----------
    hub : str
        Path of the hub, such as ``/hub/``.
    """
    ordered = sorted(accesses.values(), key=lambda access: access.level is None)
    return _templates.get_template("access.html").render(
        collaboration=collaboration, person=person, accesses=ordered, hub=hub, problem=None
    )


def render_problem(message: str) -> str:
    """Make the page that says why there is none now."""
    return _templates.get_template("access.html").render(problem=message, accesses=())

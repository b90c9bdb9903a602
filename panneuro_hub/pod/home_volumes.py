"""The home folder of a session, and the folder shared by all sessions of a person; pure.

Programs run what they find in a home: ``~/.bashrc``, IPython's startup files, packages in
``~/.local``. A single home for all projects therefore carries code from a session of one project
into a session of another project, which has other keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from panneuro_hub.names import is_name, make_slug
from panneuro_hub.pod.agent_sidecar import LABEL_PREFIX

HOME_SCOPES = ("project", "person")
SHARED_FOLDERS = ("read-only", "read-write", "none")
SHARED_NAME = "shared"
"""Name of the shared folder, inside every home."""

_PROJECTS = "projects"
_VOLUME = "panneuro-shared"
_LONGEST_CLAIM = 63  # characters, as of a label; the name itself might have 253


@dataclass(frozen=True)
class HomePlan:
    """The settings of an administrator for homes.

    Parameters
    ----------
    scope : {"project", "person"}
        Whether each project has a home of its own.
    shared : {"read-only", "read-write", "none"}
        How the folder is mounted that is the same in all projects of a person.
    """

    scope: str = "project"
    shared: str = "read-only"

    @property
    def has_shared_folder(self) -> bool:
        """Return `True` if homes have a shared folder; a single home needs none."""
        return self.scope == "project" and self.shared != "none"

    def describe(self) -> str:
        """Return the sentences that the person who chooses a project reads."""
        if self.scope == "person":
            return (
                "All your projects have one home folder. What a session leaves there, startup "
                "files and packages too, sessions of your other projects find and run."
            )
        own = "Each project has a home folder of its own."
        if not self.has_shared_folder:
            return own
        how = "only be read" if self.shared == "read-only" else "be read and written"
        return (
            f"{own} The folder {SHARED_NAME} in it is the same in all your projects, and can {how}."
        )


# -- pods -----------------------------------------------------------------------------------


def name_home_claim(account: str, person: str, server: str, project: str | None) -> str:
    """Return the name of the claim for a home, which differs if any argument differs.

    Parameters
    ----------
    account : str
        Identifies the account: a later account of the same name has other homes.
    person, server : str
        Names of the hub; the server's name is ``""`` for the default one.
    project : str or None
        `None` for a home of all projects.
    """
    # None of these has a "/" in it.
    return _claim("home", person, project or "", server, account)


def name_shared_claim(account: str, person: str) -> str:
    """Return the name of the claim for a person's shared folder."""
    return _claim("shared", person, account)


def _claim(kind: str, *parts: str) -> str:
    return f"{kind}-{make_slug('/'.join(parts), _LONGEST_CLAIM - len(kind) - 1)}"


def build_claim_labels(account: str, person: str, project: str | None) -> dict[str, str]:
    """Return the labels of a claim, by which administrators find the claims of a person."""
    labels = {f"{LABEL_PREFIX}owner": make_slug(person)}
    if account:
        labels[f"{LABEL_PREFIX}account"] = account
    return labels | ({f"{LABEL_PREFIX}project": project} if project else {})


def build_shared_volume(claim: str | None, plan: HomePlan) -> dict[str, Any]:
    """Return the volume of the shared folder.

    Parameters
    ----------
    claim : str or None
        `None` if the claim does not exist yet: the folder is empty then.
    """
    if claim is None:
        return {"name": _VOLUME, "emptyDir": {"sizeLimit": "1Mi"}}
    source = {"claimName": claim, "readOnly": plan.shared == "read-only"}
    return {"name": _VOLUME, "persistentVolumeClaim": source}


def build_shared_mount(path: str, plan: HomePlan) -> dict[str, Any]:
    """Return the mount by which the notebook's container finds the shared folder."""
    return {"name": _VOLUME, "mountPath": path, "readOnly": plan.shared == "read-only"}


# -- folders of one machine -----------------------------------------------------------------


def make_home_path(base: PurePath, project: str) -> PurePath:
    """Return the folder of a project's home below a person's own folder.

    Raises
    ------
    ValueError
        If `project` is not a name, and so could lead elsewhere.
    """
    if not is_name(project):
        raise ValueError(f"{project!r} is not the name of a project")
    return base / _PROJECTS / project


def make_shared_path(base: PurePath) -> PurePath:
    """Return the shared folder below a person's own folder."""
    return base / SHARED_NAME

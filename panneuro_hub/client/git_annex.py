"""Files of git-annex, and so of DataLad: a name leads to content that lies elsewhere, or nowhere.

A locked file is a link into ``.git/annex/objects`` of its repository. An unlocked file is the
content, or a text file with git-annex's pointer to it where the content was not fetched.

Source: git-annex documentation, "git-annex internals" and "git-annex pointer files".
"""

from __future__ import annotations

import os
from pathlib import Path

MISSING_CONTENT = (
    "the content of this annexed file is not here; fetch it with 'datalad get' or 'git annex get'"
)
_OBJECTS = "annex/objects/"
_POINTER = b"/annex/objects/"
_LARGEST_POINTER = 1024  # bytes: a key, which is a file's name as well, and a line end


def is_annex_link(place: Path) -> bool:
    """Return whether a file is a link to annexed content, which may be missing."""
    try:
        target = os.readlink(place)
    except OSError:
        return False
    return f"/{_OBJECTS}" in target.replace("\\", "/")


def is_annexed(real: Path, folder: Path) -> bool:
    """Return whether content is that of the repository that `folder` lies in.

    Parameters
    ----------
    real : Path
        Where the content lies, without links.
    folder : Path
        Without links. Content of any other repository is not what a person pointed at.
    """
    for above in (folder, *folder.parents):
        repository = above / ".git"
        if repository.exists():
            # Not through links: a tree from elsewhere could lead to any other repository by them.
            return real.is_relative_to(repository / _OBJECTS)
    return False


def is_annex_pointer(place: Path, size: int) -> bool:
    """Return whether a file is git-annex's pointer to content that is not here."""
    if not len(_POINTER) < size <= _LARGEST_POINTER:
        return False
    with place.open("rb") as opened:
        return opened.read(len(_POINTER)) == _POINTER

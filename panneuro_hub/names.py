"""Safe names: what may stand in a configuration, and how outside names become safe.

Names written by an admin (teams, projects, profiles, stores) are restricted to
``[a-z0-9-]``, so that they can stand in labels, prefixes and policies as they are.
Names from outside (people, groups, files) are data: `make_slug` turns them into safe
ones, injectively.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
LONGEST_NAME = 63  # characters
LONGEST_PREFIX = 512  # characters: half of what a whole key may have
_PLAIN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SEGMENT = re.compile(r"[A-Za-z0-9._=+@,-]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
# What a resource pattern or a template of any store could take for more than text.
_ALIVE = "*?$[]{}\\%<>\"'`"
_HASH_LENGTH = 16  # hexadecimal digits: 64 bits, out of reach of a chosen collision
_SHORTEST_END = 3  # characters


def is_name(text: str) -> bool:
    """Return `True` for a name: 1 to 63 of ``[a-z0-9-]``, no dash at either end."""
    return NAME.fullmatch(text) is not None


def is_bucket(text: str) -> bool:
    """Return `True` if `text` can be the name of an S3 bucket."""
    looks = _BUCKET.fullmatch(text) is not None and _ADDRESS.fullmatch(text) is None
    return looks and ".." not in text


def fold_text(text: str) -> str:
    """Return text in the form in which it is compared where its exact form must not matter.

    Case, Unicode form, invisible characters and blanks at the ends are lost: two names of
    one person that differ in them alone are equal, and so, rarely, are names of two people.
    Use it where that errs on the safe side.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(sign for sign in plain if unicodedata.category(sign) != "Cf").strip()


def make_slug(text: str, limit: int = LONGEST_NAME) -> str:
    """Make a safe name from any text, so that different texts get different names.

    Text that is plain already (lower-case words joined by single dashes, short
    enough) stays as it is. Anything else keeps what is readable and gets
    ``--`` and a hash, which plain text cannot contain.

    Parameters
    ----------
    text : str
        Anything: a login, an e-mail address, a group path.
    limit : int
        Greatest length of the result, in characters; 24 at the least.

    Returns
    -------
    str
        1 to `limit` characters of ``[a-z0-9-]``, good as a Kubernetes label
        value, as one segment of an object key and in a role session name.
    """
    if limit < 24:
        raise ValueError(f"limit must be 24 or more, not {limit}")
    if len(text) <= limit and _PLAIN.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    readable = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    readable = readable[: limit - _HASH_LENGTH - 2].strip("-") or "x"
    return f"{readable}--{digest}"


def shorten_names(names: Collection[str]) -> dict[str, str]:
    """By name: its last letters, as few as tell it from the others, and three at least.

    For names that nobody chose, such as those of Dask clusters.
    """
    return {name: _short(name, set(names) - {name}) for name in names}


def _short(name: str, others: set[str]) -> str:
    for length in range(_SHORTEST_END, len(name)):
        end = name[-length:]
        if not any(other.endswith(end) for other in others):
            return end
    return name


def find_prefix_problem(text: str) -> str | None:
    """Say what is wrong with the path part of a prefix, or `None` if nothing is.

    Parameters
    ----------
    text : str
        A path inside a bucket, such as ``nhp-navigation/`` or ``labs/a/raw/``.

    Returns
    -------
    str or None
        A sentence for the person who wrote it, saying what would be right.
    """
    shown = repr(text)
    if not text.strip("/"):
        named = shown if text else "an empty prefix"
        return f"{named} would be the whole bucket; name a folder such as 'my-project/'"
    if len(text) > LONGEST_PREFIX:
        return f"this prefix has {len(text)} characters; write {LONGEST_PREFIX} at most"
    if _has_control(text):
        return f"{shown} has a control character in it; use letters, digits and . _ = + @ , -"
    if text.startswith("/"):
        return f"{shown} starts with '/'; write {text.lstrip('/')!r}"
    alive = sorted({character for character in text if character in _ALIVE})
    if alive:
        return (
            f"{shown} has {' '.join(alive)} in it, which a storage policy could take for a "
            "pattern or a variable; use letters, digits and . _ = + @ , -"
        )
    if not text.endswith("/"):
        ended = repr(f"{text}/")
        return f"{shown} does not end in '/', so it would match other names too; write {ended}"
    return _segment_problem(shown, text[:-1].split("/"))


def _segment_problem(shown: str, segments: list[str]) -> str | None:
    if "" in segments:
        return f"{shown} has '//' in it; write one '/'"
    if "." in segments or ".." in segments:
        return f"{shown} has a '.' or '..' segment; write the path it leads to"
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            return f"{shown}: {segment!r} may have letters, digits and . _ = + @ , - only"
    return None


def _has_control(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in text)


@dataclass(frozen=True, order=True)
class StorageLocation:
    """A place in an object store: a bucket and a key, or the beginning of keys.

    Parameters
    ----------
    bucket : str
        Name of the bucket.
    key : str
        Object key without a leading ``/``. One that ends in ``/`` is a prefix.
    scheme : str
        ``s3``.
    """

    bucket: str
    key: str
    scheme: str = "s3"

    @classmethod
    def parse(cls, uri: str) -> StorageLocation:
        """Read ``scheme://bucket/key``.

        Raises
        ------
        ValueError
            If `uri` is not of that form, or its key is one that different
            programs read differently (``..``, ``//``, control characters).
        """
        scheme, separator, rest = uri.partition("://")
        bucket, slash, key = rest.partition("/")
        if separator != "://" or not scheme or not bucket or not slash or not key:
            raise ValueError(f"{uri!r} is not of the form s3://bucket/key")
        if _has_control(uri):
            raise ValueError(f"{uri!r} has a control character in it")
        segments = key.removesuffix("/").split("/")
        if any(segment in ("", ".", "..") for segment in segments):
            raise ValueError(f"{uri!r} has an empty, '.' or '..' segment, which no grant reaches")
        return cls(bucket, key, scheme)

    @property
    def uri(self) -> str:
        """``scheme://bucket/key``."""
        return f"{self.scheme}://{self.bucket}/{self.key}"

    def contains(self, other: StorageLocation) -> bool:
        """Return `True` if this prefix covers `other`; ``teamA/`` never covers ``teamAB/``."""
        return (
            (self.scheme, self.bucket) == (other.scheme, other.bucket)
            and self.key.endswith("/")
            and other.key.startswith(self.key)
        )

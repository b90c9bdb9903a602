"""Read HDF5 files of the store through h5py, with links to other files of the same dataset.

HDF5's library follows links to other files by itself, and knows only the machine's own disk. With
a file that is a Python object it takes the same object for every name, which gives wrong values
or ends the process; and it opens external raw data on the disk. So the library never follows
such a link here: groups resolve names one by one, and datasets with values in other files are
read from these, or stand-ins give their bytes (see `hdf5_stand_in`).
"""

from __future__ import annotations

import atexit
import math
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from panneuro_hub.lab.hdf5.compression_filters import require_filters
from panneuro_hub.lab.hdf5.file_family import FileFamily, name_read_errors
from panneuro_hub.lab.hdf5.raw_data import make_raw_reader
from panneuro_hub.lab.hdf5.stand_in_dataset import make_stand_in
from panneuro_hub.lab.hdf5.virtual_dataset import VirtualSources
from panneuro_hub.lab.hdf5.virtual_mappings import find_coordinates
from panneuro_hub.lab.memory_check import check_memory
from panneuro_hub.lab.object_file import ObjectFile
from panneuro_hub.lab.read_errors import BrokenLinkError, UnreadableFileError

_MOST_HOPS = 16  # links in a row, as in HDF5's library
_LARGE = 2**28  # bytes; a read that may be larger is compared with the memory


class LinkedObject:
    """What groups, datasets and types of a `LinkedFile` have in common."""

    owner: LinkedFile
    id: Any

    @property
    def file(self) -> LinkedFile:
        """The file that it lies in."""
        return self.owner

    @property
    def name(self) -> str | None:
        """Its path in that file."""
        return _path_of(self.id)

    @property
    def parent(self) -> Any:
        """The group that it lies in."""
        if self.name is None:
            raise ValueError("an object without a name has no parent")
        return self.owner[posixpath.dirname(self.name)]


class _Nodes(LinkedObject):
    """How a group finds what is in it."""

    def __getitem__(self, name: Any) -> Any:
        """Return the object of that name or reference, in whichever file it lies."""
        if isinstance(name, h5py.h5r.Reference):
            found = h5py.h5r.dereference(name, self.id)
            if found is None:
                raise ValueError("the reference leads to no object")
            return self.owner.wrap(found)
        return _walk(self, _as_bytes(name), _Hops())

    def get(self, name: Any, default: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the object of that name, its class, or its link, as `h5py.Group.get`."""
        getclass = args[0] if args else kwargs.get("getclass", False)
        getlink = args[1] if len(args) > 1 else kwargs.get("getlink", False)
        try:
            if not getlink:
                found = self[name]
                return _class_of(found) if getclass else found
            folder, _, last = _as_bytes(name).rstrip(b"/").rpartition(b"/")
            group = _walk(self, folder or (b"/" if _as_bytes(name)[:1] == b"/" else b"."), _Hops())
            return _link(group, last, getclass)
        except KeyError:
            return default

    def __contains__(self, name: Any) -> bool:
        """Say whether there is an object of that name that can be opened."""
        try:
            self[name]
        except (KeyError, BrokenLinkError):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, without those that are to be left out."""
        hidden = self.owner.hidden.get(find_object_key(self), frozenset())
        for name in self.id:
            text = name.decode("utf-8", "surrogateescape")
            if text not in hidden:
                yield text

    def __len__(self) -> int:
        """Return the number of names."""
        return sum(1 for _ in self)

    def copy(self, *args: Any, **kwargs: Any) -> None:
        """Copy an object to another file, as `h5py.Group.copy`, but follow no links."""
        if kwargs.get("expand_external"):
            raise BrokenLinkError(
                "other files, to which links are not followed while copying", "copy"
            )
        super().copy(*args, **kwargs)  # type: ignore[misc]


class LinkedGroup(_Nodes, h5py.Group):  # type: ignore[misc]
    """A group of a `LinkedFile`."""

    def __init__(self, identifier: Any, owner: LinkedFile) -> None:
        super().__init__(identifier)
        self.owner = owner


class LinkedFile(_Nodes, h5py.File):  # type: ignore[misc]
    """An HDF5 file of the store, as h5py has it; links lead to files of the same dataset.

    Parameters
    ----------
    source : ObjectFile
    family : FileFamily, optional
        The files that were opened through links from one of them.
    hidden : mapping, optional
        Names to leave out when a group lists its names, by the key of the group.
    """

    def __init__(
        self,
        source: ObjectFile,
        family: FileFamily[LinkedFile] | None = None,
        hidden: dict[Any, frozenset[str]] | None = None,
    ) -> None:
        super().__init__(source, "r")
        self.source = source
        self.hidden = hidden or {}
        self.family = family or FileFamily(LinkedFile)
        self.family.add(source, self)
        self._datasets: dict[Any, Any] = {}

    @property
    def owner(self) -> LinkedFile:  # type: ignore[override]
        """The file itself."""
        return self

    @property
    def filename(self) -> str:
        """Its address in the store."""
        return self.source.name

    def wrap(self, identifier: Any) -> Any:
        """Return an object of this file, by its low-level identifier."""
        if isinstance(identifier, h5py.h5g.GroupID):
            return LinkedGroup(identifier, self)
        if isinstance(identifier, h5py.h5d.DatasetID):
            return self._dataset(identifier)
        return LinkedDatatype(identifier, self)

    def _dataset(self, identifier: Any) -> LinkedDataset:
        plist = identifier.get_create_plist()
        if plist.get_layout() != h5py.h5d.VIRTUAL and not plist.get_external_count():
            return LinkedDataset(identifier, identifier, self)
        # One stand-in for an object: programs compare objects by their identifiers.
        key = h5py.h5o.get_info(identifier).addr
        if key not in self._datasets:
            kind = ExternalDataset if plist.get_external_count() else VirtualDataset
            # The shape of a virtual dataset may depend on its sources.
            with self.family.entering((self.filename, key)):
                self._datasets[key] = kind(identifier, self)
        kept: LinkedDataset = self._datasets[key]
        return kept


class LinkedDatatype(LinkedObject, h5py.Datatype):  # type: ignore[misc]
    """A named type of a `LinkedFile`."""

    __module__ = h5py.Datatype.__module__  # see `LinkedDataset`

    def __init__(self, identifier: Any, owner: LinkedFile) -> None:
        super().__init__(identifier)
        self.owner = owner


class LinkedDataset(LinkedObject, h5py.Dataset):  # type: ignore[misc]
    """A dataset of a `LinkedFile`; its errors name the file.

    Parameters
    ----------
    identifier : h5py.h5d.DatasetID
        For reading: of the dataset, or of its stand-in.
    original : h5py.h5d.DatasetID
        Of the dataset, for its name and attributes.
    owner : LinkedFile
    """

    # h5netcdf looks at this name to tell h5py's objects from those of other libraries.
    __module__ = h5py.Dataset.__module__

    def __init__(self, identifier: Any, original: Any, owner: LinkedFile) -> None:
        super().__init__(identifier, readonly=True)
        self.owner = owner
        self._original = original

    def __getitem__(self, args: Any, new_dtype: Any = None) -> Any:
        """Read a part, as `h5py.Dataset`."""
        with name_read_errors(self.owner.source.place, self.name):
            self._check(args)
            return super().__getitem__(args, new_dtype)

    def read_direct(self, dest: Any, source_sel: Any = None, dest_sel: Any = None) -> None:
        """Read into an array, as `h5py.Dataset`."""
        with name_read_errors(self.owner.source.place, self.name):
            self._check(())
            super().read_direct(dest, source_sel, dest_sel)

    @property
    def name(self) -> str | None:
        """Its path in its file."""
        return _path_of(self._original)

    @property
    def attrs(self) -> Any:
        """Its attributes."""
        return h5py.AttributeManager(h5py.Dataset(self._original))

    @property
    def ref(self) -> Any:
        """A reference to it."""
        return h5py.h5r.create(self._original, b".", h5py.h5r.OBJECT)

    @property
    def dims(self) -> Any:
        """Its dimensions, with their scales."""
        proxies = h5py.Dataset(self._original).dims
        return [_Scales(proxies[number], self.owner) for number in range(self.ndim)]

    @property
    def has_references(self) -> bool:
        """Whether its values refer to other objects."""
        return bool(self._original.get_type().detect_class(h5py.h5t.REFERENCE))

    def _check(self, args: Any) -> None:
        """Refuse what needs more memory than there is, and a filter that is not here."""
        require_filters(self.id.get_create_plist())
        chunk = np.prod(self.chunks or (0,), dtype=object) * self.dtype.itemsize
        if chunk > _LARGE:
            check_memory(int(chunk), "one chunk of it")
        if self.shape and self.size * self.dtype.itemsize > _LARGE:
            check_memory(self._amount(args), "this part of it")

    def _amount(self, args: Any) -> int:
        try:
            wanted, _ = find_coordinates(args, self.shape)
        except (TypeError, ValueError, IndexError):
            return 0  # h5py says what is wrong, or knows more kinds of selections
        return int(self.dtype.itemsize) * math.prod(len(part) for part in wanted)


class ExternalDataset(LinkedDataset):
    """A dataset with its values in other files, which have nothing but values."""

    __module__ = h5py.Dataset.__module__

    def __init__(self, original: Any, owner: LinkedFile) -> None:
        fetch = make_raw_reader(original, owner.source)
        shape = original.shape
        super().__init__(make_stand_in(original, shape, fetch), original, owner)

    @property
    def external(self) -> None:
        """None: it reads like a plain dataset."""


class VirtualDataset(LinkedDataset):
    """A dataset made of parts of other datasets, which may lie in other files."""

    __module__ = h5py.Dataset.__module__

    def __init__(self, original: Any, owner: LinkedFile) -> None:
        self.owner = owner
        with name_read_errors(owner.source.place, _path_of(original)):
            self._sources = VirtualSources(original, self._source)
            # Nothing in h5py reads the values of the stand-in; this is for whoever goes below it.
            identifier = make_stand_in(original, self._sources.shape, self._refuse)
        super().__init__(identifier, original, owner)

    def __getitem__(self, args: Any, new_dtype: Any = None) -> Any:
        """Read a part, as `h5py.Dataset`, from the datasets that it is made of."""
        with (
            name_read_errors(self.owner.source.place, self.name),
            self.owner.family.entering(self.id),
        ):
            self._check(args)
            wanted, dropped = find_coordinates(args, self.shape)
            found = self._sources.read(wanted, self.dtype)
            found = found.reshape([n for i, n in enumerate(found.shape) if i not in dropped])
            if new_dtype is not None:
                names = getattr(np.dtype(new_dtype), "names", None)
                found = found[list(names)] if names else found.astype(new_dtype)
            return found[()] if found.ndim == 0 else found

    def read_direct(self, dest: Any, source_sel: Any = None, dest_sel: Any = None) -> None:
        """Read into an array, as `h5py.Dataset`."""
        dest[() if dest_sel is None else dest_sel] = self[() if source_sel is None else source_sel]

    @property
    def is_virtual(self) -> bool:
        """False: it reads like a plain dataset."""
        return False

    @property
    def maxshape(self) -> tuple[int | None, ...]:
        """Its largest shape."""
        return self._sources.maxshape

    @property
    def fillvalue(self) -> Any:
        """The value of elements that no other dataset gives."""
        return self._sources.fill

    def _source(self, file: str, path: str) -> h5py.Dataset | None:
        """Return a source, or `None` if there is no dataset of that name in the file."""
        self.owner.family.count_read()
        owner = self.owner if file == "." else self.owner.family.source(self.owner.source, file)
        found = owner.get(path)
        return found if isinstance(found, h5py.Dataset) else None

    def _refuse(self, start: int, end: int) -> bytes:
        raise UnreadableFileError(f"{self.name} can be read by its index only")


class _Scales(Sequence[Any]):
    """The scales of one dimension, as h5py has them."""

    def __init__(self, proxy: Any, owner: LinkedFile) -> None:
        self._proxy = proxy
        self._owner = owner

    @property
    def label(self) -> str:
        return str(self._proxy.label)

    def __len__(self) -> int:
        return len(self._proxy)

    def __iter__(self) -> Iterator[str]:
        return iter(self._proxy)

    def __getitem__(self, item: Any) -> Any:
        return self._owner.wrap(self._proxy[item].id)

    def keys(self) -> list[str]:
        return list(self._proxy)

    def values(self) -> list[Any]:
        return [self[number] for number in range(len(self))]

    def items(self) -> list[tuple[str, Any]]:
        return list(zip(self.keys(), self.values(), strict=True))


class _Hops:
    """Counts links, since they may lead in a circle."""

    def __init__(self) -> None:
        self._left = _MOST_HOPS

    def count(self, name: bytes) -> None:
        self._left -= 1
        if self._left < 0:
            raise BrokenLinkError(
                f"more than {_MOST_HOPS} links in a row, perhaps in a circle",
                f"the link {name.decode('utf-8', 'replace')!r}",
            )


def find_object_key(node: Any) -> tuple[str, int]:
    """Return what tells an object from all others: its file, and where it is in there."""
    return node.owner.filename, h5py.h5o.get_info(node.id).addr


def _walk(node: Any, path: bytes, hops: _Hops) -> Any:
    """Return what a path leads to, one name after the other."""
    node = node.owner if path[:1] == b"/" else node
    for name in path.split(b"/"):
        if name not in (b"", b"."):
            if not isinstance(node, h5py.Group):
                raise KeyError(f"{name.decode('utf-8', 'replace')!r} is not below a group")
            node = _child(node, name, hops)
    return node


def _child(group: Any, name: bytes, hops: _Hops) -> Any:
    links = group.id.links
    kind = _link_type(group, name)
    if kind == h5py.h5l.TYPE_HARD:
        return group.owner.wrap(h5py.h5o.open(group.id, name))
    hops.count(name)
    if kind == h5py.h5l.TYPE_SOFT:
        return _walk(group, links.get_val(name), hops)
    if kind == h5py.h5l.TYPE_EXTERNAL:
        file, path = links.get_val(name)
        return _elsewhere(group, name, file.decode("utf-8", "replace"), path, hops)
    raise BrokenLinkError(f"the link {name.decode('utf-8', 'replace')!r} is of an unknown kind")


def _elsewhere(group: Any, name: bytes, file: str, path: bytes, hops: _Hops) -> Any:
    owner = group.owner
    path_here = posixpath.join(group.name or "", name.decode("utf-8", "replace"))
    where = f"{owner.source.place.path!r}: {path_here}"
    try:
        other = owner.family.open(owner.source, file)
        return _walk(other, b"/" + path, hops)
    except KeyError as missing:
        there = path.decode("utf-8", "replace")
        raise BrokenLinkError(f"{there} in {file!r}, which is not there", where) from missing
    except BrokenLinkError as broken:
        raise BrokenLinkError(broken.cause, where) from broken


def _link(group: Any, name: bytes, as_class: bool) -> Any:
    kind = _link_type(group, name)
    if kind == h5py.h5l.TYPE_HARD:
        return h5py.HardLink if as_class else h5py.HardLink()
    if kind not in (h5py.h5l.TYPE_SOFT, h5py.h5l.TYPE_EXTERNAL):
        raise TypeError("Unknown link type")
    if as_class:
        return h5py.SoftLink if kind == h5py.h5l.TYPE_SOFT else h5py.ExternalLink
    value = group.id.links.get_val(name)
    if kind == h5py.h5l.TYPE_SOFT:
        return h5py.SoftLink(value.decode("utf-8", "surrogateescape"))
    file, path = (part.decode("utf-8", "surrogateescape") for part in value)
    return h5py.ExternalLink(file, path)


def _link_type(group: Any, name: bytes) -> int:
    if b"\0" in name or not group.id.links.exists(name):
        raise KeyError(f"{name.decode('utf-8', 'replace')!r} does not exist in {group.name}")
    return int(group.id.links.get_info(name).type)


def _path_of(identifier: Any) -> str | None:
    found = h5py.h5i.get_name(identifier)
    return None if found is None else found.decode("utf-8", "surrogateescape")


def _class_of(node: Any) -> type:
    kinds: tuple[type, ...] = (h5py.Group, h5py.Dataset, h5py.Datatype)
    return next(kind for kind in kinds if isinstance(node, kind))


def _as_bytes(name: Any) -> bytes:
    if isinstance(name, str):
        return name.encode("utf-8", "surrogateescape")
    if isinstance(name, bytes):
        return name
    raise TypeError(f"a group has names that are text, not {type(name).__name__}")


@atexit.register
def _close_all() -> None:
    """Close what is open, since HDF5's library ends after Python and calls its objects."""
    for identifier in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_ALL):
        if identifier.valid and not isinstance(identifier, h5py.h5t.TypeID):
            file = h5py.h5i.get_file_id(identifier)
            if file.get_access_plist().get_driver() == h5py.h5fd.fileobj_driver:
                h5py.File(file).close()

"""Read the subjects and the kinds of recording from NWB files on HDF5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from panneuro_hub.catalog.range_file import RangeFile

_MODALITIES = {
    "ecephys": ("ElectricalSeries", "SpikeEventSeries", "LFP", "FilteredEphys", "Units"),
    "icephys": (
        *("PatchClampSeries", "CurrentClampSeries", "VoltageClampSeries"),
        *("IZeroClampSeries", "CurrentClampStimulusSeries", "VoltageClampStimulusSeries"),
    ),
    "ophys": (
        *("OnePhotonSeries", "TwoPhotonSeries", "ImageSegmentation", "PlaneSegmentation"),
        *("RoiResponseSeries", "Fluorescence", "DfOverF"),
    ),
    "ogen": ("OptogeneticSeries",),
    "behavior": (
        *("SpatialSeries", "Position", "CompassDirection", "EyeTracking", "PupilTracking"),
        *("BehavioralTimeSeries", "BehavioralEvents", "BehavioralEpochs"),
    ),
}
_MODALITY_OF = {name: kind for kind, names in _MODALITIES.items() for name in names}
# Where NWB keeps what was recorded; one level of "processing" is its modules.
_PLACES = ("acquisition", "processing", "stimulus/presentation")
_MOST_CHILDREN = 1000
_LONGEST_SUBJECT = 100  # characters
# Exceptions that h5py raises for damaged or malicious files.
_BROKEN = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, MemoryError)


@dataclass(frozen=True)
class NwbSummary:
    """The subjects and types that an NWB file states.

    Parameters
    ----------
    subjects : frozenset of str
        One at most.
    types : frozenset of str
        Neurodata types of what was recorded.
    """

    subjects: frozenset[str]
    types: frozenset[str]


def find_modality(neurodata_type: str) -> str | None:
    """Return the modality of a neurodata type, in DANDI's words, or `None`."""
    return _MODALITY_OF.get(neurodata_type)


def summarize_nwb(path: str, size: int, read: Callable[[str, int, int], bytes]) -> NwbSummary | str:
    """Return the summary of an NWB file.

    Returns
    -------
    NwbSummary or str
        A text with the reason if the file cannot be read.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        return "not read; reading it needs h5py, which comes with panneuro-hub[formats]"
    try:
        with h5py.File(RangeFile(lambda start, end: read(path, start, end - start), size)) as file:
            return NwbSummary(_read_subjects(file), _read_types(file))
    except _BROKEN as problem:
        return f"cannot be read as HDF5 ({type(problem).__name__})"


def _read_subjects(file: Any) -> frozenset[str]:
    node = _follow_hard_links(file, "general/subject/subject_id")
    # A scalar is stored in this file. Other data may be external and could be any file
    # of the person who uploads it.
    if getattr(node, "shape", None) != () or node.is_virtual:
        return frozenset()
    value = node[()]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    text = text.strip()[:_LONGEST_SUBJECT] if isinstance(text, str) else ""
    return frozenset([text]) if text.isprintable() and text else frozenset()


def _read_types(file: Any) -> frozenset[str]:
    nodes = [_follow_hard_links(file, "units")]
    for place in _PLACES:
        children = _list_children(_follow_hard_links(file, place))
        nodes += children
        if place == "processing":
            nodes += [inner for child in children for inner in _list_children(child)]
    named = (node.attrs.get("neurodata_type") for node in nodes if node is not None)
    return frozenset(name for name in named if isinstance(name, str))


def _list_children(group: Any) -> list[Any]:
    if not hasattr(group, "keys"):
        return []
    names = [name for name, _ in zip(group, range(_MOST_CHILDREN), strict=False)]
    return [child for name in names if (child := _follow_hard_links(group, name)) is not None]


def _follow_hard_links(node: Any, path: str) -> Any:
    """Return the node at a path, by hard links only: other links may lead to another file."""
    import h5py

    for name in path.split("/"):
        found = hasattr(node, "keys") and isinstance(node.get(name, getlink=True), h5py.HardLink)
        if not found:
            return None
        node = node[name]
    return node

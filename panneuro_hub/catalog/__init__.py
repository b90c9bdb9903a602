"""Datasets: what they hold, their catalog beside the data, and what formats they are in.

Of what is here, the manifest needs nothing but Python. What reads and writes does
it through an obstore store that it is given, rooted at a project's prefix; what
knows the field's own formats asks for their packages when it is used.
"""

from __future__ import annotations

from panneuro_hub.catalog.keys import (
    dataset_problem,
    manifest_key,
    path_problem,
    record_key,
    upload_key,
)
from panneuro_hub.catalog.manifest import File, Format, Manifest, Record, Upload, digest
from panneuro_hub.catalog.reading import Malformed

__all__ = [
    "File",
    "Format",
    "Malformed",
    "Manifest",
    "Record",
    "Upload",
    "dataset_problem",
    "digest",
    "manifest_key",
    "path_problem",
    "record_key",
    "upload_key",
]

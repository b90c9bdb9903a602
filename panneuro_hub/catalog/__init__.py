"""Datasets: what they hold, their catalog beside the data, and what formats they are in.

Of what is here, the manifest needs nothing but Python. What reads and writes does
it through an obstore store that it is given, rooted at a project's prefix; what
knows the field's own formats asks for their packages when it is used.
"""

from __future__ import annotations

from panneuro_hub.catalog.dataset_keys import (
    find_dataset_problem,
    find_path_problem,
    make_manifest_key,
    make_record_key,
    make_upload_key,
)
from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.catalog.manifest import (
    DatasetRecord,
    FileRow,
    Format,
    Manifest,
    UploadNote,
    digest_files,
)

__all__ = [
    "DatasetRecord",
    "FileRow",
    "Format",
    "MalformedRecordError",
    "Manifest",
    "UploadNote",
    "digest_files",
    "find_dataset_problem",
    "find_path_problem",
    "make_manifest_key",
    "make_record_key",
    "make_upload_key",
]

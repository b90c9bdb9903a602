"""Datasets and notebooks in the stores: their records, their formats and their validation.

The manifest needs only Python. The modules that read and write take an obstore store whose root
is the prefix of a project. The modules for scientific formats import their packages on first use.
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

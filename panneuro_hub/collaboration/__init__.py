"""The collaboration: its models, and loading and checking the file that holds them."""

from __future__ import annotations

from panneuro_hub.collaboration.document import read_text
from panneuro_hub.collaboration.loading import Check, load, load_text
from panneuro_hub.collaboration.models import (
    EVERY_TEAM,
    Budget,
    Collaboration,
    Dask,
    Embargo,
    Image,
    Kubernetes,
    Level,
    Profile,
    Project,
    ProjectDask,
    S3Store,
    Scratch,
    Store,
    Team,
    WorkerProfile,
)

__all__ = [
    "EVERY_TEAM",
    "Budget",
    "Check",
    "Collaboration",
    "Dask",
    "Embargo",
    "Image",
    "Kubernetes",
    "Level",
    "Profile",
    "Project",
    "ProjectDask",
    "S3Store",
    "Scratch",
    "Store",
    "Team",
    "WorkerProfile",
    "load",
    "load_text",
    "read_text",
]

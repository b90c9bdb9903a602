"""The collaboration: its models, and loading and checking the file that holds them."""

from __future__ import annotations

from panneuro_hub.collaboration.loading import CollaborationCheck, load_file, load_text_with_checks
from panneuro_hub.collaboration.models import (
    EVERY_TEAM,
    Collaboration,
    DaskSettings,
    Level,
    PodPlacement,
    Project,
    ProjectBudget,
    ProjectDask,
    ProjectEmbargo,
    S3Store,
    ScratchSpace,
    ServerImage,
    ServerProfile,
    Store,
    Team,
    WorkerProfile,
)
from panneuro_hub.collaboration.yaml_document import read_yaml_text

__all__ = [
    "EVERY_TEAM",
    "Collaboration",
    "CollaborationCheck",
    "DaskSettings",
    "Level",
    "PodPlacement",
    "Project",
    "ProjectBudget",
    "ProjectDask",
    "ProjectEmbargo",
    "S3Store",
    "ScratchSpace",
    "ServerImage",
    "ServerProfile",
    "Store",
    "Team",
    "WorkerProfile",
    "load_file",
    "load_text_with_checks",
    "read_yaml_text",
]

"""Access: the rights of a person in a project, with reasons; pure, no I/O.

Only `decide_access` decides. Everything else in this package uses, shows or compares its results.
"""

from __future__ import annotations

from panneuro_hub.access.access_views import (
    build_session_view,
    limit_to_reading,
    list_team_prefixes,
)
from panneuro_hub.access.cluster_choice import ClusterChoice, check_cluster_choice
from panneuro_hub.access.comparison import compare_collaborations
from panneuro_hub.access.decision import decide_access, decide_all_accesses, decide_widest_access
from panneuro_hub.access.offers import merge_dask_limits
from panneuro_hub.access.path_check import check_path
from panneuro_hub.access.project_choice import choose_access
from panneuro_hub.access.project_recipients import (
    InaccessibleProject,
    ProjectRecipients,
    find_recipients,
    list_responsible_teams,
)
from panneuro_hub.access.team_membership import find_active_teams, is_hub_admin, map_groups_to_teams
from panneuro_hub.access.types import (
    Access,
    AccessDifference,
    BudgetLimit,
    DaskLimits,
    PathCheck,
    Person,
    SessionOffer,
    TeamPrefix,
    WorkerLimits,
)

__all__ = [
    "Access",
    "AccessDifference",
    "BudgetLimit",
    "ClusterChoice",
    "DaskLimits",
    "InaccessibleProject",
    "PathCheck",
    "Person",
    "ProjectRecipients",
    "SessionOffer",
    "TeamPrefix",
    "WorkerLimits",
    "build_session_view",
    "check_cluster_choice",
    "check_path",
    "choose_access",
    "compare_collaborations",
    "decide_access",
    "decide_all_accesses",
    "decide_widest_access",
    "find_active_teams",
    "find_recipients",
    "is_hub_admin",
    "limit_to_reading",
    "list_responsible_teams",
    "list_team_prefixes",
    "map_groups_to_teams",
    "merge_dask_limits",
]

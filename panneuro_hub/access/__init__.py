"""Access: what a person may do in a project, with reasons; pure, no I/O.

`decide_access` is the one place where it is decided. Everything else here asks it, shows
its answer, or compares two answers.
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
    "BudgetLimit",
    "ClusterChoice",
    "DaskLimits",
    "AccessDifference",
    "SessionOffer",
    "PathCheck",
    "Person",
    "ProjectRecipients",
    "InaccessibleProject",
    "TeamPrefix",
    "WorkerLimits",
    "find_active_teams",
    "choose_access",
    "check_cluster_choice",
    "merge_dask_limits",
    "decide_access",
    "decide_all_accesses",
    "compare_collaborations",
    "is_hub_admin",
    "check_path",
    "limit_to_reading",
    "find_recipients",
    "build_session_view",
    "list_team_prefixes",
    "map_groups_to_teams",
    "list_responsible_teams",
    "decide_widest_access",
]

"""Access: what a person may do in a project, with reasons; pure, no I/O.

`decide` is the one place where it is decided. Everything else here asks it, shows
its answer, or compares two answers.
"""

from __future__ import annotations

from panneuro_hub.access.choosing import chosen_access
from panneuro_hub.access.clusters import ClusterChoice, cluster_choice
from panneuro_hub.access.comparison import differences
from panneuro_hub.access.decision import decide, decide_all, widest_access
from panneuro_hub.access.membership import active_teams, is_hub_admin, teams_from_groups
from panneuro_hub.access.offers import dask_limits
from panneuro_hub.access.recipients import Recipients, Shut, recipients, whom_to_ask
from panneuro_hub.access.types import (
    Access,
    BudgetLimit,
    DaskLimits,
    Difference,
    Offer,
    PathVerdict,
    Person,
    TeamPrefix,
    WorkerLimits,
)
from panneuro_hub.access.verdict import judge
from panneuro_hub.access.views import reading, session_view, team_prefixes

__all__ = [
    "Access",
    "BudgetLimit",
    "ClusterChoice",
    "DaskLimits",
    "Difference",
    "Offer",
    "PathVerdict",
    "Person",
    "Recipients",
    "Shut",
    "TeamPrefix",
    "WorkerLimits",
    "active_teams",
    "chosen_access",
    "cluster_choice",
    "dask_limits",
    "decide",
    "decide_all",
    "differences",
    "is_hub_admin",
    "judge",
    "reading",
    "recipients",
    "session_view",
    "team_prefixes",
    "teams_from_groups",
    "whom_to_ask",
    "widest_access",
]

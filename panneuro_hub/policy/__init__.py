"""Policies: grants as text in the language of a store; pure, no I/O."""

from __future__ import annotations

from panneuro_hub.policy.policy_size import review_policy_sizes
from panneuro_hub.policy.session_policy import S3_POLICY_LIMIT, build_session_policy

__all__ = ["S3_POLICY_LIMIT", "build_session_policy", "review_policy_sizes"]

"""Policy: grants in the words of a store, as text; pure, no I/O."""

from __future__ import annotations

from panneuro_hub.policy.s3 import S3_POLICY_LIMIT, session_policy
from panneuro_hub.policy.size import review

__all__ = ["S3_POLICY_LIMIT", "review", "session_policy"]

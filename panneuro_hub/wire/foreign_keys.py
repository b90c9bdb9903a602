"""Variables that name keys of other origin, which would take precedence over a session's keys."""

from __future__ import annotations

FOREIGN_KEY_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
"""The variables that every SDK reads before it asks the session's agent.

Source: AWS SDKs and Tools Reference Guide, "Environment variables".
"""

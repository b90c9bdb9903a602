"""The web service: tickets become credentials, and people learn what they may do and why."""

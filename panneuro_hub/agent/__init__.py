"""The agent: it serves the credentials of a session on the loopback address."""

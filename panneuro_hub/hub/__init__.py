"""The plugin classes of the hub: the team-aware authenticators and the spawners.

The hub decides what a session is and hands it a ticket; it never sees a key.
"""

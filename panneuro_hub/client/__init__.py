"""The command ``panneuro``, which moves data in and out of projects from any machine.

In a session of the hub it uses the session's credentials; elsewhere it uses those of a
login. The package `transfer` does the work.
"""

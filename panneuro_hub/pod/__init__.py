"""Volumes, containers and variables that the pods and processes of a session receive; pure."""

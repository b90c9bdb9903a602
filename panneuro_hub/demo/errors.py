"""What can go wrong in the demo."""

from __future__ import annotations

from panneuro_hub.errors import PanNeuroError


class DemoError(PanNeuroError):
    """A part of the demo did not start, or a step of its check did not happen."""

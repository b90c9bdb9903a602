"""The error of the demo."""

from __future__ import annotations

from panneuro_hub.errors import PanNeuroError


class DemoError(PanNeuroError):
    """The demo did not start or went down, or a step of its check failed."""

    code = "demo"

"""The error of the servers on this machine and of the programs that use them."""

from __future__ import annotations

from panneuro_hub.errors import PanNeuroError


class DevstackError(PanNeuroError):
    """A server did not start or answer, or a page was not the expected one."""

    code = "devstack"

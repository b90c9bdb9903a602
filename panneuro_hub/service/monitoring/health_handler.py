"""The service's health, for probes."""

from __future__ import annotations

from panneuro_hub.current import Current, build_health_report
from panneuro_hub.service.monitoring.expiry_watch import ExpiryWatch
from panneuro_hub.service.web.base_handlers import ApiHandler


class ServiceHealthHandler(ApiHandler):
    """``GET /health``: for probes; says when the collaboration file on disk is broken."""

    def initialize(self, current: Current, expiries: ExpiryWatch | None = None) -> None:
        """Take what the application was made with."""
        self.current = current
        self.expiries = expiries

    def get(self) -> None:
        """Answer 200 as long as the service can work."""
        warnings = self.expiries.warnings if self.expiries else []
        self.finish({**build_health_report(self.current.look()), "warnings": warnings})

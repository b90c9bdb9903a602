"""The login of a computer outside the hub, confirmed in the browser (RFC 8628)."""

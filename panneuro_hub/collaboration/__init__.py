"""collaboration."""

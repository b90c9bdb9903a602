"""Usage, cost and metrics."""

"""Move files between a computer and a store."""

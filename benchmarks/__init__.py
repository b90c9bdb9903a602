"""What this software costs, measured beside doing without it; see README.md."""

"""Pages that list and show projects, datasets and notebooks."""

"""One rule file a sector of the city (pure)."""

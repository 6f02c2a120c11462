"""The secure channel of a chip."""

"""Load, decide, store: one verb a file."""

"""Records as columns: how they are read, kept and proven."""

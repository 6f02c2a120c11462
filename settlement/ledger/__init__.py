"""Double entry: accounts, movements, entries, positions (pure)."""

"""What the office answers to a file, and what it keeps of one (pure)."""

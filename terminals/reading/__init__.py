"""Any card, read without a key, and any exchange with it, in words."""

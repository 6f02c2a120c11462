"""The electronic purse: what it decides offline, and what it decides with the host."""

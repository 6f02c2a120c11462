"""Measurements against the budgets, each beside its baseline in the same run."""

"""Tests, in folders that mirror the packages. Being a package keeps them from shadowing those."""

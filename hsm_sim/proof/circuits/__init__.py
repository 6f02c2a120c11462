"""Ciphers as circuits over bit planes: many lanes at once."""

"""The chip and its card operating system: it knows no application."""

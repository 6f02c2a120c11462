"""The command line `onecard`: one file a noun. See `docs/architecture.md` for the commands."""

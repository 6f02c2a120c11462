"""One movement of a purse: the session and its shell."""

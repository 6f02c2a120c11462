"""One file per kind of device: what it is for, as data for the session."""

"""Where keys live and what may be done with them: the same rule for every provider."""

"""What a stranger may not use up, take or name on a chip."""

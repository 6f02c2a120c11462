"""Published dumps of cards, whoever made them, read as far as their bytes go."""

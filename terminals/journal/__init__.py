"""What a terminal knows after power came back, and what it sends of it."""

"""Keys on their way: key blocks, their names, components."""

"""The settlement day: which one is open, what a run is made of, what closing it stores (pure)."""

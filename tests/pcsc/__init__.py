"""Real readers: pcscd with virtual slots, a card in the first and a PSAM in the second."""

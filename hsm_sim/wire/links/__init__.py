"""How client and server reach each other: addresses, connections, TLS."""

"""What people and programs ask of a city. Reads only, and answers with frozen values."""

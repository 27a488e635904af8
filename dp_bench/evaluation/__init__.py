"""Episodes played by policies, and their records."""

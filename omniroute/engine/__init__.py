"""How settings become a running generation, and how one generation follows another."""

"""Wire formats: one file each, around one canonical conversation."""

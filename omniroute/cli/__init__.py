"""The command line, one file a verb; each prints what a human needs next."""

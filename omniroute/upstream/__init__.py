"""The way out: credentials, transports, and the built-in end of every pipeline."""

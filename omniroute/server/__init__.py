"""The outside: HTTP in, the admin plane, metrics and the log."""

"""From the configuration of another gateway to ours: one module a gateway, what they share, and their words as data."""

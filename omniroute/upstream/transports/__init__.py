"""Ways to reach a provider, one file each."""

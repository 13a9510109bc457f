"""Ways to authenticate at a provider, one file each."""

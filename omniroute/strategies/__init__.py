"""How a combo orders its targets, and a provider its accounts. One file each."""

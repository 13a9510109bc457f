"""What outlives a request and a reload. Owned by the runtime, handed to whoever needs it."""

"""The vocabulary of a request: what travels, the shapes of a stage, and how stages become a pipeline."""

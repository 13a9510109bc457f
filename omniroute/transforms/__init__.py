"""Declarative edits of JSON documents and headers: what `transforms` in the configuration compiles into."""

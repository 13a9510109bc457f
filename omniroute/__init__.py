"""OmniRoute: one YAML file becomes a reverse proxy for AI providers."""

__version__ = "0.1.0"

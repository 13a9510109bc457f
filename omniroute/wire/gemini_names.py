"""How Gemini's paths and bodies name a model."""

from __future__ import annotations

from urllib.parse import quote

_COLLECTIONS = ("models/", "tunedModels/", "publishers/", "projects/", "endpoints/")
"""A model's name that begins so is a resource's full name already."""


def resource_of(model: str) -> str:
    """The full name of a model."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def path_of(model: str) -> str:
    """The path of a model, which a verb follows."""
    return f"/{quote(resource_of(model), safe='/@:.-_~')}"

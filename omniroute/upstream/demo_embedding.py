"""The demo model's vectors: those of texts that share words are near to each other, and the same ones are the same."""

from __future__ import annotations

import hashlib
import math
import re

from omniroute.errors import Problem, Refused
from omniroute.upstream.demo_request import tokens_of
from omniroute.wire.conversation import Usage
from omniroute.wire.embeddings import EmbeddingAnswer, EmbeddingRequest

DIMENSIONS = 256
MOST_DIMENSIONS = 4096
PLACES = 8
"""Dimensions that one word is spread over, so that two words rarely look alike."""

_WORD = re.compile(r"\w+")


def embedded(asked: EmbeddingRequest) -> EmbeddingAnswer:
    """Raises `Refused` for vectors that are too long."""
    size = asked.dimensions or DIMENSIONS
    if size > MOST_DIMENSIONS:
        message = f"The demo model has at most {MOST_DIMENSIONS} dimensions."
        raise Refused(Problem(kind="invalid_request", message=message, param="dimensions"))
    vectors = [_vector(_words(one), size) for one in asked.inputs]
    tokens = sum(tokens_of(len(one)) if isinstance(one, str) else len(one) for one in asked.inputs)
    return EmbeddingAnswer(vectors=[*vectors], usage=Usage(input=max(1, tokens)))


def _words(text: str | list[int]) -> list[str]:
    """Token ids count as words; who says nothing says that."""
    words = _WORD.findall(text.lower()) if isinstance(text, str) else [str(token) for token in text]
    return words or [""]


def _vector(words: list[str], size: int) -> list[float]:
    """Of length 1, as the vectors of most models are."""
    vector = [0.0] * size
    for word in words:
        digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
        for place in range(PLACES):
            value = int.from_bytes(digest[place * 4 : place * 4 + 4], "big")
            vector[(value >> 1) % size] += 1.0 if value & 1 else -1.0
    length = math.hypot(*vector)
    if not length:
        # Signs that took each other away, in very few dimensions.
        vector[0] = length = 1.0
    return [number / length for number in vector]

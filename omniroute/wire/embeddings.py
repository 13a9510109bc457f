"""Embeddings in no format: what is asked for, what is answered, and what a wire has to offer for it.

Where client and target speak the same wire, bytes pass and nothing of this is made but a glance at the answer.
"""

from __future__ import annotations

import json
import re
import sys
from abc import ABC, abstractmethod
from array import array
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from omniroute.errors import MalformedStream, UnsupportedContent
from omniroute.wire.codec import Dialect, Glance, Peek, Reference
from omniroute.wire.conversation import Doc, Notes, Usage
from omniroute.wire.estimate import text_tokens
from omniroute.wire.losses import note_loss
from omniroute.wire.shapes import integer_at, refused
from omniroute.wire.splice import TopLevel, replace_model

Task = Literal["query", "document", "similarity", "classification", "clustering", "question", "fact", "code"]
"""What the vectors are for. Of a search, `query` and `document` are the two sides."""

Truncate = Literal["start", "end", "none"]
"""Which end of an input that is too long is cut off; `none`: it is an error."""

SETTINGS = ("dimensions", "task", "title", "truncate", "user")
"""The fields of a request that a target may have no words for."""


_NOTHING: tuple[Any, ...] = ({}, [], "")
"""What clients write who set nothing."""


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """Texts, or the token ids of texts, that become a vector each, in their order.

    `words` are the client's names for our fields, where they differ; `extras` its settings that no other wire has.
    """

    inputs: list[str | list[int]]
    dimensions: int | None = None
    task: Task | None = None
    title: str | None = None
    truncate: Truncate | None = None
    user: str | None = None
    base64: bool = False
    """Vectors are to be told as base64 of little-endian float32."""
    words: Mapping[str, str] = {}
    extras: Doc = {}

    def keep_only(self, kept: Collection[str], notes: Notes) -> None:
        """Note what is set and not `kept`, in the client's own words."""
        for name in SETTINGS:
            if name not in kept and getattr(self, name) is not None:
                note_loss(notes, self.words.get(name, name))
        for name, value in self.extras.items():
            if value not in _NOTHING:
                note_loss(notes, name, value)

    def in_parts(self, most: int | None) -> list[EmbeddingRequest]:
        """Requests for at most so many inputs each, which ask for the same together."""
        if most is None or len(self.inputs) <= most:
            return [self]
        starts = range(0, len(self.inputs), most)
        return [msgspec.structs.replace(self, inputs=self.inputs[at : at + most]) for at in starts]

    @property
    def estimated_tokens(self) -> int:
        """A guess, for targets that do not tell what they read."""
        sizes = (text_tokens(text) if isinstance(text, str) else len(text) for text in self.inputs)
        return max(1, round(sum(sizes)))


Vector = msgspec.Raw | list[float]
"""A JSON array of numbers that is passed on as it is, digit by digit; or numbers."""


class EmbeddingAnswer(msgspec.Struct, kw_only=True):
    """A vector for each input. `usage` is None where the answer does not tell it."""

    vectors: list[Vector]
    usage: Usage | None = None


class _Asked(msgspec.Struct):
    model: str


_asked = msgspec.json.Decoder(_Asked).decode
_numbers = msgspec.json.Decoder(list[float]).decode

_OF_NUMBERS = b"0123456789+-.eE, \t\r\n"
"""What an array of numbers is written with, but for its brackets."""
_DIGIT = re.compile(rb"\d")


class Embeddings(ABC):
    """How a wire embeds: one shape of request and answer, at one path. Instances have no state."""

    for_clients: ClassVar[bool] = True
    """Whether an endpoint of the gateway takes it; else it is for targets only."""

    most: ClassVar[int | None] = None
    """Inputs that a target takes in one request; None: as many as clients send."""

    @property
    def variants(self) -> tuple[Embeddings, ...]:
        """All shapes of this wire: some have one for a single text and one for many."""
        return (self,)

    def fitting(self, asked: EmbeddingRequest) -> Embeddings:
        """The shape in which a target of this wire is asked for so much."""
        return self

    # request in, request out ────────────────────────────────────────────────────────────────────
    def peek(self, raw: bytes) -> Peek:
        """Reads nothing else. Raises `msgspec.DecodeError`/`ValidationError` for what is not such a request."""
        return Peek(_asked(raw).model, False)

    @abstractmethod
    def path(self, model: str) -> str:
        """What follows `base_url`."""

    @abstractmethod
    def read_request(self, doc: Doc) -> EmbeddingRequest:
        """Raises `UnsupportedContent` for inputs that are no text and `Refused` for a wrong shape."""

    @abstractmethod
    def write_request(self, asked: EmbeddingRequest, dialect: Dialect, notes: Notes) -> Doc:
        """The body for a target. Raises `UnsupportedContent` for inputs that it cannot take."""

    def readdress(self, doc: Doc, dialect: Dialect) -> None:
        """Put the target's own name into a request of this shape."""
        doc["model"] = dialect.model

    def readdressed(self, raw: bytes, model: str, dialect: Dialect, top: TopLevel | None) -> bytes:
        """The same for bytes, whose model is `model`: every other value keeps its own."""
        return replace_model(raw, model, dialect.model, top)

    def readdressed_slowly(self, raw: bytes, dialect: Dialect) -> bytes:
        """The same by way of a document, for bytes that cannot be taken apart: the slower library lets more pass."""
        document = json.loads(raw)
        self.readdress(document, dialect)
        return json.dumps(document).encode()

    # answer in, answer out ──────────────────────────────────────────────────────────────────────
    @abstractmethod
    def read_answer(self, raw: bytes) -> EmbeddingAnswer:
        """Raises `MalformedStream` where a vector is none, and `msgspec.DecodeError` for what is of another shape."""

    @abstractmethod
    def write_answer(self, answer: EmbeddingAnswer, asked: EmbeddingRequest, reference: Reference) -> Doc: ...

    # glances ────────────────────────────────────────────────────────────────────────────────────
    @abstractmethod
    def glance(self, raw: bytes) -> Glance:
        """Usage, and whether it is an answer at all; in any shape of this wire. Raises `msgspec.DecodeError`."""


def read_embeddings(raw: bytes, source: Embeddings, count: int) -> EmbeddingAnswer:
    """An answer that has a vector for each of `count` inputs. Raises `MalformedStream` for any other."""
    try:
        answer = source.read_answer(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedStream(f"the upstream's answer is not the JSON it should be: {error}") from error
    if len(answer.vectors) != count:
        raise MalformedStream(f"the upstream gave {len(answer.vectors)} vectors for {count} inputs")
    return answer


# ── inputs ──────────────────────────────────────────────────────────────────────────────────────


def dimensions_at(value: Any, path: str) -> int | None:
    """How long a vector is to be; null says nothing."""
    if value is None:
        return None
    number = integer_at(value, path)
    if number < 1:
        raise refused("must be at least 1", path)
    return number


def texts_only(asked: EmbeddingRequest) -> list[str]:
    """The inputs, for a target that has its own tokens. Raises `UnsupportedContent`: nobody here can read the ids."""
    for at, one in enumerate(asked.inputs):
        if not isinstance(one, str):
            path = f"input[{at}]" if len(asked.inputs) > 1 else "input"
            raise UnsupportedContent("token ids are of one model's tokenizer; this target takes text", path)
    return [one for one in asked.inputs if isinstance(one, str)]


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────


def vector_of(value: msgspec.Raw) -> Vector:
    """A JSON array of numbers, as it is, or base64 of little-endian float32. Raises `MalformedStream` for anything else."""
    text = bytes(value)
    if text.startswith(b'"'):
        return _unpacked(msgspec.json.decode(text, type=str))
    if text.translate(None, _OF_NUMBERS) != b"[]" or not _DIGIT.search(text):
        raise MalformedStream("a vector of the upstream's answer is no array of numbers")
    return value


def numbers_of(vector: Vector) -> list[float]:
    return _numbers(vector) if isinstance(vector, msgspec.Raw) else vector


def packed(vector: Vector) -> str:
    """Base64 of little-endian float32."""
    numbers = array("f", numbers_of(vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()


def _unpacked(text: str) -> list[float]:
    numbers = array("f")
    try:
        numbers.frombytes(b64decode(text, validate=True))
    except (NotBase64, ValueError) as error:
        raise MalformedStream("a vector of the upstream's answer is not base64 of float32") from error
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()

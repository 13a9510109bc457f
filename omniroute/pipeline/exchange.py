"""One request and what becomes of it: `Exchange` travels down a pipeline, a `Reply` comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from omniroute.errors import Problem, Refused, Tried
from omniroute.wire.codec import Operation, Peek, Reference, Wire
from omniroute.wire.conversation import Answer, Conversation, Doc, Finish, Notes, Usage
from omniroute.wire.embeddings import Embeddings

if TYPE_CHECKING:
    from omniroute.pipeline.keys import Caller
    from omniroute.pipeline.parts import Edit
    from omniroute.pipeline.patterns import Bar
    from omniroute.pipeline.stream import Stream, Tap
    from omniroute.routing.directory import Account, Member, Target
    from omniroute.routing.facts import Facts
    from omniroute.routing.outcomes import Outcome
    from omniroute.routing.plan import Plan
    from omniroute.wire.bulk import Bulk
    from omniroute.wire.splice import TopLevel

_json = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode

ALL_LANES = slice(None)


class Watch(Protocol):
    """A tap that has seen the whole of a stream go by. `cut` is what broke it, unless that was the client."""

    cut: Problem | None

    @property
    def usage(self) -> Usage | None: ...
    @property
    def finish(self) -> Finish | None: ...


class Dress(NamedTuple):
    """Other words for an answer of a wire: of its JSON, and of its stream."""

    plain: Callable[[bytes], bytes]
    stream: Callable[[], Tap]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A place that clients call. `family` names the pipeline that serves it, if the config does not say else; `dress`
    is set where answers leave in other words than the wire's, `embeddings` where they are vectors."""

    path: str
    wire: Wire
    operation: Operation
    family: str
    dress: Dress | None = None
    embeddings: Embeddings | None = None


class Request:
    """What came over the network, parsed no further than HTTP. Header look-ups ignore case."""

    __slots__ = ("body", "client_ip", "headers", "id", "method", "path", "query", "received", "started")

    def __init__(
        self,
        *,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        client_ip: str,
        id: str,
        received: float,
        started: float,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.client_ip = client_ip
        self.id = id
        self.received = received
        """Epoch seconds."""
        self.started = started
        """Monotonic seconds."""


class Outgoing:
    """What is to be sent to a target: made by `translate`, sent by the end of the pipeline.

    `path` follows the base URL and holds the query that the wire needs. `headers` are all but those of the
    credential, which is added last, and only for the provider's own host.
    """

    __slots__ = ("body", "headers", "path", "wire")

    def __init__(self, wire: Wire, path: str, headers: dict[str, str]) -> None:
        self.wire = wire
        self.path = path
        self.headers = headers
        self.body = b""


class Exchange:
    """A request on its way: raw bytes kept, parsed only if someone asks, and then once.

    `path` says which way it took: `same` (bytes through), `edited` (parsed and changed) or `cross` (translated).
    """

    __slots__ = (
        "_conversation",
        "_doc",
        "_sketch",
        "_talk",
        "account",
        "array",
        "attempts",
        "barred",
        "bulk",
        "cache",
        "caller",
        "config",
        "cost",
        "cost_of_lost",
        "edited",
        "endings",
        "endpoint",
        "estimated",
        "facts",
        "finish",
        "first_byte",
        "ids",
        "lane",
        "later",
        "lost",
        "malformed",
        "member",
        "model",
        "notes",
        "outgoing",
        "path",
        "pipeline",
        "plan",
        "problem",
        "reckoned",
        "reply_edits",
        "request",
        "request_edits",
        "stage_begins",
        "stages",
        "stream",
        "target",
        "top",
        "tried",
        "usage",
        "watch",
        "wire",
    )

    def __init__(self, request: Request, endpoint: Endpoint, peek: Peek, ids: IdSource) -> None:
        self.request = request
        self.endpoint = endpoint
        self.wire = endpoint.wire
        self.model = peek.model
        self.stream = peek.stream
        self.ids = ids
        self.array = False
        self.config = ""
        self.pipeline = ""
        """The name of the pipeline that serves it."""
        self.caller: Caller | None = None
        self.plan: Plan | None = None
        self.target: Target | None = None
        self.account: Account | None = None
        self.member: Member | None = None
        self.barred: tuple[Bar, ...] = ()
        self.cache: str | None = None
        """What a cache did: `hit`, `miss`, `bypass` or `idempotent`."""
        self.outgoing: Outgoing | None = None
        self.request_edits: tuple[Edit, ...] = ()
        self.reply_edits: tuple[Edit, ...] = ()
        self.notes = Notes()
        self.tried: list[Tried] = []
        self.attempts = 0
        self.path: Literal["same", "cross", "edited"] = "same"
        self.edited = False
        self.usage: Usage | None = None
        self.estimated = False
        """Whether the usage is a guess, for the answer did not tell it."""
        self.finish: Finish | None = None
        self.problem: Problem | None = None
        self.cost: float | None = None
        """US dollars, with those of attempts that lost a race."""
        self.reckoned = False
        """What it used and cost is written down."""
        self.cost_of_lost = 0.0
        self.lost: list[str] = []
        """Targets that were asked at the same time and were slower."""
        self.lane = ALL_LANES
        """Which of the accounts of its target are for this exchange: several of a race share them."""
        self.malformed: Problem | None = None
        """Why the body could not even be peeked into; told to the client once it is known who asks."""
        self.first_byte = 0.0
        self.endings: list[Callable[[Problem | None], None]] = []
        """Told at the true end of the answer, with what broke it after it had begun."""
        self.later: list[Callable[[], None]] = []
        """What is to be noted of the answer, and can wait until its first bytes are on their way."""
        self.facts: Facts | None = None
        """What the plan was made of."""
        self.stages: list[str] = []
        self.stage_begins: list[float] = []
        """The stages that it came to, in order, and when (`perf_counter`)."""
        self.watch: Watch | None = None
        self.top: TopLevel | None = None
        """The outline taken apart at its top level, where it is so large that this should be done only once."""
        self.bulk: Bulk | None = None
        """The large files of a huge body, cut out."""
        self._doc: Doc | None = None
        self._conversation: Conversation | None = None
        self._sketch: Doc | None = None
        self._talk: Conversation | None = None

    @property
    def doc(self) -> Doc:
        """The client's JSON, to look at. To change it, call `edit()`. Raises `Refused` when it is no object."""
        if self._doc is None:
            self._doc = parse_object(self.request.body)
        return self._doc

    @property
    def conversation(self) -> Conversation:
        """What the client asked for, in no format."""
        if self._conversation is None:
            self._conversation = self._read(self.doc)
        return self._conversation

    @property
    def outline(self) -> bytes:
        """The body without its large files: to search it, or to take it apart."""
        return self.bulk.outline if self.bulk is not None else self.request.body

    @property
    def sketch(self) -> Doc:
        """`doc`, but large files may have words standing for their middles (`bulk`). For who copies or ignores
        them."""
        if self.bulk is None or self.edited:
            return self.doc
        if self._sketch is None:
            self._sketch = parse_object(self.bulk.outline)
        return self._sketch

    @property
    def talk(self) -> Conversation:
        """`conversation`, read of the sketch."""
        if self.bulk is None or self.edited:
            return self.conversation
        if self._talk is None:
            self._talk = self._read(self.sketch)
        return self._talk

    @property
    def unseen(self) -> int:
        """Characters that the files in `talk` seem shorter than they are."""
        return self.bulk.unseen if self.bulk is not None and not self.edited else 0

    def _read(self, document: Doc) -> Conversation:
        talk = self.wire.read_request(document)
        talk.model = self.model
        talk.stream = self.stream
        return talk

    def edit(self) -> Doc:
        """The client's JSON, to change in place; from now on the bytes that came in no longer count."""
        document = self.doc
        self.edited = True
        self._conversation = None
        return document

    def replace(self, document: Doc) -> None:
        """A whole new body."""
        self._doc = document
        self._conversation = None
        self.edited = True

    def fork(self) -> Exchange:
        """A twin for work that may outlive this exchange: the same request of the same caller, with an end of its own."""
        twin = object.__new__(Exchange)
        for name in Exchange.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.endings = []
        twin.later = []
        twin.watch = None
        return twin

    def rival(self) -> Exchange:
        """A twin that asks another target at the same time: what one of them changes or learns, the others do not see."""
        twin = self.fork()
        twin.notes = Notes()
        twin.tried = []
        twin.lost = []
        twin.attempts = 0
        twin.stages, twin.stage_begins = list(self.stages), list(self.stage_begins)
        # What was not edited is read again from the bytes; the conversation is never changed by those who read it.
        twin._doc = _json.decode(_encode(self._doc)) if self.edited else None
        return twin

    def goes_on_as(self, rival: Exchange) -> None:
        """Go on where a rival has got to: its answer is what the client gets."""
        attempts, tried = self.attempts + rival.attempts, self.tried
        lost, cost = self.lost, self.cost_of_lost
        self.adopt(rival)
        self.attempts, self.tried, self.lost, self.cost_of_lost = attempts, tried, lost, cost
        self.stages, self.stage_begins = rival.stages, rival.stage_begins
        self.watch = rival.watch
        self._doc, self.edited = rival._doc, rival.edited
        self.later.append(rival.begun)
        self.endings.append(lambda problem: rival.end_as(self))

    def count_failed(self, rival: Exchange) -> None:
        """What a rival did that failed counts, too: it is the latest that was tried."""
        self.attempts += rival.attempts
        self.target, self.member, self.account = rival.target, rival.member, rival.account
        rival.end()

    def count_lost(self, rivals: Sequence[Exchange]) -> None:
        """What those did that were asked in vain counts, too."""
        for rival in rivals:
            self.attempts += rival.attempts
            self.cost_of_lost += rival.cost or 0.0
            if rival.target is not None:
                self.lost.append(rival.target.name)

    def end_as(self, other: Exchange) -> None:
        """The end of a rival that won: its answer went to the client as that of the other."""
        self.usage, self.estimated, self.finish = other.usage, other.estimated, other.finish
        self.problem = other.problem
        self.cost = None if other.cost is None else other.cost - other.cost_of_lost
        self.end()

    def adopt(self, twin: Exchange) -> None:
        """Take over what a twin met on its way: target, attempts, usage, cost, and what broke it."""
        problem, cache = self.problem, self.cache
        for name in _MET:
            setattr(self, name, getattr(twin, name))
        self.problem = problem or twin.problem
        self.cache = cache or twin.cache

    def settle(self) -> None:
        """The stream is over: take over what the tap that watched it has learned."""
        if self.watch is not None:
            self.usage = self.watch.usage or self.usage
            self.finish = self.watch.finish or self.finish
            self.problem = self.watch.cut or self.problem

    def begun(self) -> None:
        """The answer is on its way, or over: do what could wait for that. Once."""
        while self.later:
            # One by one: should one fail, the others are still there at the end.
            self.later.pop(0)()
        # Nobody plans any more; and they know the exchange: without a collector it would never be freed.
        self.facts = None

    def end(self) -> None:
        """What it used and cost is known: tell those that wait for it. Once, whatever happened."""
        self.begun()
        endings, self.endings = self.endings, []
        for ending in endings:
            ending(self.problem)

    def reference(self) -> Reference:
        """What an answer to this request refers back to."""
        return Reference(
            model=self.model,
            request=self.sketch,
            created=int(self.request.received),
            new_id=self.ids.new,
            array=self.array,
        )


_OWN = frozenset(
    {
        "_conversation",
        "_doc",
        "_sketch",
        "_talk",
        "array",
        "barred",
        "bulk",
        "caller",
        "config",
        "edited",
        "endings",
        "endpoint",
        "facts",
        "first_byte",
        "ids",
        "later",
        "malformed",
        "model",
        "pipeline",
        "reply_edits",
        "request",
        "request_edits",
        "stage_begins",
        "stages",
        "stream",
        "top",
        "watch",
        "wire",
    }
)
"""What an exchange does not take over from a twin: the request itself, who asks, and its own end."""
_MET = tuple(name for name in Exchange.__slots__ if name not in _OWN)


class RandomBytes(Protocol):
    """What ids take of a `random.Random`."""

    def randbytes(self, n: int) -> bytes: ...


class IdSource:
    """Fresh ids for answers, such as `msg_3f…`. A random source is handed in, so that tests can repeat them."""

    __slots__ = ("_random",)

    def __init__(self, random: RandomBytes) -> None:
        self._random = random

    def new(self, prefix: str) -> str:
        return prefix + self._random.randbytes(12).hex()


class Reply:
    """An answer: `body` when it is plain, `stream` when it is not, `problem` when it is an error.

    An error of our own has only a problem; the pipeline's edge words it for the client. `headers` are those that
    the client gets beside the gateway's own.
    """

    __slots__ = ("answer", "body", "bulk", "headers", "outcome", "problem", "received", "status", "stream")

    def __init__(
        self,
        status: int,
        *,
        body: bytes | None = None,
        stream: Stream | None = None,
        headers: dict[str, str] | None = None,
        problem: Problem | None = None,
        received: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.stream = stream
        self.headers = headers if headers is not None else {}
        self.problem = problem
        self.outcome: Outcome | None = None
        """What the problem means for what comes next, where a row of the provider's own says so."""
        self.answer: Answer | None = None
        """The plain answer, once it has been read for a translation: of the outline, where there is one."""
        self.bulk: Bulk | None = None
        """The large files of a huge body, cut out, until it is translated."""
        self.received: Mapping[str, str] = received if received is not None else {}
        """The headers of the upstream's answer, as they came; look-ups in them ignore case, or are in lower case."""

    @property
    def ok(self) -> bool:
        return self.problem is None


def refusal(problem: Problem) -> Reply:
    """The reply of a stage that answers by itself with an error."""
    return Reply(problem.http_status, problem=problem)


def parse_object(raw: bytes) -> Doc:
    """JSON bytes that must be an object. Raises `Refused` (invalid_request) saying where it breaks."""
    try:
        document = _json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(not_json(raw, error)) from error
    if not isinstance(document, dict):
        raise Refused(
            Problem(
                kind="invalid_request",
                code="invalid_json",
                message=f"The request body must be a JSON object, not {_json_kind(document)}.",
            )
        )
    return document


def not_json(raw: bytes, error: Exception) -> Problem:
    """What to tell a client whose body does not parse."""
    message = (
        "The request body is empty." if not raw.strip() else f"The request body is not valid JSON: {error}."
    )
    return Problem(kind="invalid_request", code="invalid_json", message=message)


def _json_kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")

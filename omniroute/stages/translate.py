"""From the client's wire format to the target's, and back."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from omniroute.declare import Options, option, stage
from omniroute.errors import MalformedStream, Problem, Refused, UnsupportedContent
from omniroute.pipeline import response_state
from omniroute.pipeline.client_words import (
    ESTIMATED,
    limits_told,
    not_strict,
    tell_dropped,
    tell_status,
    unsupported,
)
from omniroute.pipeline.edits import EventEdits, applied, apply, edited_answer, names_of, select
from omniroute.pipeline.embedding import embed
from omniroute.pipeline.exchange import Exchange, Outgoing, Reply, parse_object
from omniroute.pipeline.parts import Around, Edit, Handler
from omniroute.pipeline.site import Site
from omniroute.pipeline.stream import Stream
from omniroute.pipeline.turns import in_turns
from omniroute.routing.directory import Target, Upstream
from omniroute.state.state import State
from omniroute.upstream.headers import outgoing_headers
from omniroute.wire.asked_usage import UnaskedUsageTap
from omniroute.wire.bridge import (
    AskedModelTap,
    CrossTap,
    WatchTap,
    encode,
    read_answer,
    translate_request,
    write_answer,
)
from omniroute.wire.bulk import Bulk, put_back
from omniroute.wire.codec import Wire
from omniroute.wire.conversation import Doc
from omniroute.wire.custom_calls import CustomCalls
from omniroute.wire.estimate import estimated_tokens
from omniroute.wire.names import NameMap
from omniroute.wire.splice import rename, replace_model


@stage("translate", needs=["target"], gives=["upstream_request"], example="{stage: translate, strict: true}")
class Translate(Options, frozen=True, kw_only=True):
    """Writes the request in the target's wire format and reads its answer back into the client's.

    Where both are the same, bytes go through untouched but for the model's name and what transforms change. What
    the target cannot express is emulated or named in `X-OmniRoute-Dropped`.
    """

    strict: Annotated[bool, option("Refuse what cannot be kept, instead of dropping it by name.")] = False
    prompt_cache: Annotated[
        Literal["keep", "auto"],
        option("keep: the client's cache markers; auto: adds some for stable prefixes."),
    ] = "keep"

    def build(self, site: Site) -> Around:
        state = site.state

        def run(exchange: Exchange, proceed: Handler) -> Awaitable[Reply]:
            target = exchange.target
            if target is None:
                raise RuntimeError("translate runs without a target")
            if exchange.endpoint.embeddings is not None:
                return embed(exchange, target, state.clock, proceed, strict=self.strict)
            if exchange.wire.name == response_state.WIRE and response_state.refers(exchange):
                return _with_responses(exchange, target, self, state, proceed)
            return _Translation(exchange, target, self, state).run(proceed)

        return Around(run)


async def _with_responses(
    exchange: Exchange, target: Target, options: Translate, state: State, proceed: Handler
) -> Reply:
    await response_state.put_in(exchange, state.responses)
    return await _Translation(exchange, target, options, state).run(proceed)


class _Translation:
    """One request in the words of one target."""

    __slots__ = (
        "_clock",
        "_edits",
        "_exchange",
        "_names",
        "_options",
        "_outlined",
        "_same",
        "_store",
        "_target",
        "_unasked",
        "_upstream",
    )

    def __init__(self, exchange: Exchange, target: Target, options: Translate, state: State) -> None:
        self._exchange = exchange
        self._store = state.responses
        self._clock = state.clock
        self._target = target
        self._options = options
        self._upstream: Upstream = target.upstream(exchange.wire.name)
        self._same = self._upstream.wire is exchange.wire
        self._edits: tuple[Edit, ...] = (
            *target.provider.edits,
            *exchange.request_edits,
            *exchange.reply_edits,
        )
        self._names: NameMap | None = None
        self._unasked = False
        """Usage was asked for that the client did not ask for."""
        self._outlined = False
        """The large files of the request are still to be put back into what was written."""

    @property
    def _renamed(self) -> bool:
        """Whether an answer that passes as bytes has to be given the name that the client knows."""
        exchange = self._exchange
        return self._same and exchange.wire.names_model_once and self._target.model != exchange.model

    async def run(self, proceed: Handler) -> Reply:
        exchange, wire = self._exchange, self._upstream.wire
        counting = exchange.endpoint.operation == "count_tokens"
        path = wire.path(self._target.model, exchange.stream, exchange.endpoint.operation)
        if path is None:
            if counting:
                return self._estimate()
            raise Refused(unsupported(exchange.endpoint.operation, self._target))
        exchange.notes.dropped.clear()
        exchange.notes.emulated.clear()
        outgoing = Outgoing(
            wire, path, outgoing_headers(exchange.request.headers, self._upstream, same=self._same)
        )
        outgoing.body = self._body(outgoing.headers)
        if exchange.stream and self._same and self._metered:
            self._ask_for_usage(outgoing)
        if exchange.bulk is not None and self._outlined:
            outgoing.body = await _filled(outgoing.body, exchange.bulk, exchange.request.body)
        exchange.outgoing = outgoing
        reply = await proceed(exchange)
        if counting:
            return self._counted(reply)
        if exchange.notes.dropped:
            tell_dropped(exchange, reply)
        limits = limits_told(exchange, reply, self._clock(), same=self._same)
        if limits:
            reply.headers.update(limits)
        if reply.problem is not None:
            tell_status(exchange, reply, reply.problem)
            return reply if self._same else _without_body(reply)
        try:
            return self._stream(reply) if reply.stream is not None else await self._plain(reply)
        except MalformedStream as error:
            raise Refused(Problem(kind="bad_gateway", code="malformed_answer", message=str(error))) from error

    # ── request ──────────────────────────────────────────────────────────────────────────────────

    def _body(self, headers: dict[str, str]) -> bytes:
        exchange = self._exchange
        edits = select(self._edits, "request", "upstream") if self._edits else ()
        params = exchange.member.params if exchange.member is not None else {}
        # Edits may look at every byte.
        self._outlined = exchange.bulk is not None and not exchange.edited and not edits
        if not self._same:
            exchange.path = "cross"
            document = self._translated()
            if exchange.endpoint.operation == "count_tokens":
                document = self._upstream.wire.count_request(document, self._target.model)
            return self._finish_body(document, edits, params, headers)
        exchange.path = "edited" if exchange.edited or params else "same"
        if exchange.path == "same" and not edits:
            return self._spliced()
        document = {**self._own_copy(deep=bool(edits)), **params}
        if self._upstream.wire.model_in_body:
            document["model"] = self._target.model
        changed = applied(edits, document, names_of(exchange), headers) if edits else None
        if changed is None and exchange.path == "same":
            return self._spliced()
        exchange.path = "edited"
        return encode(document if changed is None else changed)

    @property
    def _metered(self) -> bool:
        """Whether somebody counts what this request uses."""
        caller = self._exchange.caller
        return self._target.metered or (caller is not None and caller.metered)

    def _ask_for_usage(self, outgoing: Outgoing) -> None:
        if "no_stream_options" in self._target.dialect.quirks:
            return
        asking = outgoing.wire.ask_for_usage(outgoing.body)
        if asking is not None:
            outgoing.body = asking
            self._unasked = True

    def _own_copy(self, *, deep: bool) -> Doc:
        """The client's JSON to edit, for this target alone: the next may need the client's own words again."""
        exchange = self._exchange
        if not deep:
            return exchange.sketch
        return parse_object(encode(exchange.doc) if exchange.edited else exchange.request.body)

    def _spliced(self) -> bytes:
        exchange = self._exchange
        self._outlined = exchange.bulk is not None
        raw = exchange.outline if self._outlined else exchange.request.body
        if not self._upstream.wire.model_in_body:
            return raw
        if self._outlined or exchange.top is not None:
            return replace_model(raw, exchange.model, self._target.model, exchange.top)
        return rename(raw, exchange.model, self._target.model)

    def _translated(self) -> Doc:
        exchange = self._exchange
        talk = exchange.talk if self._outlined else exchange.conversation
        response_state.refuse_unknown(exchange)
        dialect = msgspec.structs.replace(self._target.dialect, prompt_cache=self._options.prompt_cache)
        try:
            document, self._names = translate_request(
                talk, exchange.wire, self._upstream.wire, dialect, exchange.notes
            )
        except UnsupportedContent as error:
            raise Refused(
                Problem(
                    kind="invalid_request", code="unsupported_content", message=str(error), param=error.path
                )
            ) from error
        if self._options.strict and exchange.notes.dropped:
            raise Refused(not_strict(exchange.notes.dropped, self._target))
        return document

    def _finish_body(
        self, document: Doc, edits: Sequence[Edit], params: Mapping[str, Any], headers: dict[str, str]
    ) -> bytes:
        document.update(params)
        if edits:
            document = apply(edits, document, names_of(self._exchange), headers)
        return encode(document)

    # ── answer ───────────────────────────────────────────────────────────────────────────────────

    async def _plain(self, reply: Reply) -> Reply:
        exchange = self._exchange
        upstream_edits = select(self._edits, "response", "upstream")
        client_edits = select(self._edits, "response", "client")
        whole = body = reply.body or b""
        bulk, reply.bulk = reply.bulk, None
        names = names_of(exchange) if upstream_edits or client_edits else {}
        if upstream_edits:
            body = edited_answer(body, upstream_edits, names, reply.headers)
            bulk = reply.answer = None
        elif bulk is not None:
            body = bulk.outline
        if not self._same:
            answer = reply.answer or read_answer(body, self._upstream.wire)
            answer = CustomCalls(exchange.talk).opened_answer(self._named.inward_answer(answer))
            body = write_answer(answer, exchange.wire, exchange.reference(), exchange.notes)
        if self._renamed:
            body = replace_model(body, "", exchange.model)
        if bulk is not None:
            body = await _filled(body, bulk, whole)
        if not self._same and response_state.keeps(exchange):
            response_state.keep(exchange, parse_object(body), self._store)
        if client_edits:
            body = edited_answer(body, client_edits, names, reply.headers)
        reply.body = body
        return reply

    def _stream(self, reply: Reply) -> Reply:
        exchange, stream = self._exchange, reply.stream
        if stream is None:
            raise RuntimeError("a streamed reply has no stream")
        if self._edits:
            self._tap_edits(stream, "upstream", self._upstream.wire)
        watch = self._watch()
        exchange.watch = watch
        stream.tap(watch)
        if self._unasked:
            stream.tap(UnaskedUsageTap())
        if self._renamed:
            stream.tap(AskedModelTap(exchange.model))
        if not self._same and response_state.keeps(exchange):
            stream.tap(response_state.KeepTap(exchange, self._store))
        if self._edits:
            self._tap_edits(stream, "client", exchange.wire)
        stream.keep_alive = b"" if exchange.array else exchange.wire.keep_alive
        stream.event_ends = exchange.wire.event_ends
        return reply

    def _tap_edits(self, stream: Stream, side: str, wire: Wire) -> None:
        edits = select(self._edits, "event", side)
        if edits:
            stream.tap(EventEdits(edits, names_of(self._exchange), wire.framing))

    def _watch(self) -> CrossTap | WatchTap:
        exchange = self._exchange
        if self._same and not exchange.array:
            return WatchTap(exchange.wire, exchange.request.id)
        writer = exchange.wire.writer(exchange.reference(), exchange.notes)
        return CrossTap(self._upstream.wire, writer, self._named, exchange.talk)

    @property
    def _named(self) -> NameMap:
        if self._names is None:
            self._names = NameMap({}, None, None)
        return self._names

    # ── counting ─────────────────────────────────────────────────────────────────────────────────

    def _counted(self, reply: Reply) -> Reply:
        """The provider's own figure; where it gave none (many have no such endpoint), an estimate."""
        if reply.problem is not None:
            return self._estimate()
        if self._same:
            return reply
        tokens = self._upstream.wire.read_count(parse_object(reply.body or b""))
        reply.body = encode(self._exchange.wire.write_count(tokens))
        return reply

    def _estimate(self) -> Reply:
        exchange = self._exchange
        tokens = estimated_tokens(exchange.talk, exchange.unseen)
        return Reply(200, body=encode(exchange.wire.write_count(tokens)), headers={ESTIMATED: "tokens"})


async def _filled(outline: bytes, bulk: Bulk, whole: bytes) -> bytes:
    """The body to send, of its outline; `whole` is what the outline was made of, should nothing have changed."""
    return whole if outline is bulk.outline else await in_turns(put_back(outline, bulk))


def _without_body(reply: Reply) -> Reply:
    reply.body = None
    return reply

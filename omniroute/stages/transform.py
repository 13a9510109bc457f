"""Declarative edits, at this place of the pipeline."""

from __future__ import annotations

from typing import Annotated

from multidict import CIMultiDict

from omniroute.declare import Options, option, stage
from omniroute.pipeline.edits import applied, names_of, select
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.parts import Around, Handler
from omniroute.pipeline.site import Site


@stage("transform", example="{stage: transform, use: [clamp_max_tokens]}")
class Transform(Options, frozen=True, kw_only=True):
    """Applies transforms to the request, the answer or its events.

    Those at the client's side are applied here, in the client's format; those at the upstream's side when the
    request has been translated, in the target's format.
    """

    use: Annotated[tuple[str, ...], option("Names of transforms, in order.", min_length=1)]

    def build(self, site: Site) -> Around:
        edits = tuple(site.edit(name) for name in self.use)
        on_request = select(edits, "request", "client")
        upstream_requests = select(edits, "request", "upstream")
        replies = tuple(e for e in edits if e.on != "request")

        async def run(exchange: Exchange, proceed: Handler) -> Reply:
            if on_request:
                headers = CIMultiDict(exchange.request.headers)
                changed = applied(on_request, exchange.doc, names_of(exchange), headers)
                if changed is not None:
                    exchange.replace(changed)
                exchange.request.headers = headers
            exchange.request_edits += upstream_requests
            exchange.reply_edits += replies
            return await proceed(exchange)

        return Around(run)

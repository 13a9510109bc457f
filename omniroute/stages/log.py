"""One line a request, when it is over."""

from __future__ import annotations

from omniroute.declare import Options, stage
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.parts import Observer
from omniroute.pipeline.record import record_of
from omniroute.pipeline.site import Site


@stage("log", example="log")
class Log(Options, frozen=True, kw_only=True):
    """Writes a structured record of the request: who, what, where to, how long, how many tokens, what it cost."""

    def build(self, site: Site) -> Observer:
        write = site.write_record

        def done(exchange: Exchange, reply: Reply) -> None:
            write(record_of(exchange, reply))

        return Observer(done)

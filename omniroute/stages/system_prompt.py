"""A system text of the house, in every request."""

from __future__ import annotations

from typing import Annotated, Literal

from omniroute.declare import Options, option, stage
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.parts import Gate
from omniroute.pipeline.site import Site


@stage("system_prompt", example="{stage: system_prompt, text: Answer in Italian., position: prepend}")
class SystemPrompt(Options, frozen=True, kw_only=True):
    """Adds a system text before or after those that the client sent, in the client's own format. Requests for embeddings
    have no place for one, and stay as they are."""

    text: Annotated[str, option("The text.", min_length=1)]
    position: Annotated[
        Literal["prepend", "append"], option("Before or after the client's own system texts.")
    ] = "append"

    def build(self, site: Site) -> Gate:
        def check(exchange: Exchange) -> Reply | None:
            if exchange.endpoint.embeddings is None:
                exchange.wire.add_system(exchange.edit(), self.text, self.position)
            return None

        return Gate(check)

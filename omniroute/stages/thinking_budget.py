"""How much models think, decided by the house."""

from __future__ import annotations

from typing import Annotated, Literal

from omniroute.config.units import Count
from omniroute.declare import Ask, Options, option, stage
from omniroute.pipeline.exchange import Exchange, Reply
from omniroute.pipeline.parts import Gate
from omniroute.pipeline.site import Site
from omniroute.wire.content import budget_of
from omniroute.wire.conversation import Conversation, Reasoning, Text
from omniroute.wire.reasoning import set_reasoning

LONG_TALK = 10
MANY_TOOLS = 3
LONG_TEXT = 2_000


@stage(
    "thinking_budget",
    example="{stage: thinking_budget, mode: custom, tokens: 4096}",
    asks=[Ask("thinking", "mode", ("custom", "adaptive"))],
)
class ThinkingBudget(Options, frozen=True, kw_only=True):
    """Sets how much a request asks the model to think; the target's own limits hold all the same.

    `passthrough` leaves what the client said, `auto` takes it away so that the provider decides, `custom` asks for
    `tokens`, `adaptive` starts from the client's effort (or `tokens`) and asks for more the longer the conversation,
    the more tools and the longer the last message.
    """

    mode: Annotated[Literal["passthrough", "auto", "custom", "adaptive"], option("Who decides, and how.")] = (
        "passthrough"
    )
    tokens: Annotated[Count, option("Thinking tokens: the budget of `custom`, the base of `adaptive`.")] = (
        Count(10_240)
    )

    def build(self, site: Site) -> Gate:
        def check(exchange: Exchange) -> Reply | None:
            if self.mode == "passthrough" or exchange.endpoint.operation != "chat":
                return None
            talk = exchange.conversation
            set_reasoning(exchange.wire, exchange.edit(), talk, self._wanted(talk))
            return None

        return Gate(check)

    def _wanted(self, talk: Conversation) -> Reasoning | None:
        if self.mode == "auto":
            return None
        visible = talk.reasoning.visible if talk.reasoning is not None else None
        if self.mode == "custom":
            return Reasoning(enabled=True, budget=int(self.tokens), visible=visible)
        if talk.reasoning is not None and talk.reasoning.enabled is False:
            return talk.reasoning
        return Reasoning(enabled=True, budget=round(self._base(talk) * weight(talk)), visible=visible)

    def _base(self, talk: Conversation) -> int:
        said = talk.reasoning
        if said is not None and said.budget:
            return said.budget
        if said is not None and said.effort is not None:
            return budget_of(said.effort)
        return int(self.tokens)


def weight(talk: Conversation) -> float:
    """How demanding a conversation is: 1.0 to 2.3."""
    last = next((turn for turn in reversed(talk.turns) if turn.role == "user"), None)
    text = sum(len(p.text) for p in last.parts if isinstance(p, Text)) if last is not None else 0
    return (
        1.0
        + 0.5 * (len(talk.turns) > LONG_TALK)
        + 0.5 * (len(talk.tools) > MANY_TOOLS)
        + 0.3 * (text > LONG_TEXT)
    )

"""What is let in: addresses, sizes, models, providers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from omniroute.config.units import Size
from omniroute.declare import Options, option, stage
from omniroute.errors import Problem
from omniroute.pipeline.exchange import Exchange, Reply, refusal
from omniroute.pipeline.parts import Gate
from omniroute.pipeline.patterns import Bar, Test, any_of, networks
from omniroute.pipeline.site import Site
from omniroute.wire.nesting import Shallow, is_deeper, opens_more

Check = Callable[[Exchange], Problem | None]


@stage("filter", example="{stage: filter, max_body: 10MB, deny_models: ['*-preview']}")
class Filter(Options, frozen=True, kw_only=True):
    """Refuses requests by address, size, nesting or model, and keeps providers out of the plan.

    Without options only the nesting is looked at. `deny` wins over `allow`; an `allow` list that is there lets
    nothing else in.
    """

    max_body: Annotated[
        Size | None, option("Largest body of this pipeline; `server.limits.body` holds for all.")
    ] = None
    max_depth: Annotated[int, option("Deepest nesting of the JSON body.", ge=1)] = 200
    allow_ips: Annotated[tuple[str, ...], option("Networks (CIDR) that may call.")] = ()
    deny_ips: Annotated[tuple[str, ...], option("Networks (CIDR) that may not.")] = ()
    allow_models: Annotated[tuple[str, ...], option("Model names (globs) that may be asked for.")] = ()
    deny_models: Annotated[tuple[str, ...], option("Model names (globs) that may not.")] = ()
    allow_providers: Annotated[tuple[str, ...], option("Providers (globs) that may be used.")] = ()
    deny_providers: Annotated[tuple[str, ...], option("Providers (globs) that may not.")] = ()

    def build(self, site: Site) -> Gate:
        checks = tuple(self._checks())
        if len(checks) == 1:
            return Gate(_refusing(checks[0]))

        def check(exchange: Exchange) -> Reply | None:
            for one in checks:
                problem = one(exchange)
                if problem is not None:
                    return refusal(problem)
            return None

        return Gate(check)

    def _checks(self) -> Iterator[Check]:
        if self.max_body is not None:
            yield _largest(self.max_body)
        yield _deepest(self.max_depth)
        if self.allow_ips or self.deny_ips:
            refused = _refused(networks(self.allow_ips), networks(self.deny_ips), bool(self.allow_ips))
            problem = Problem(
                kind="permission",
                code="address_not_allowed",
                message="Requests from this address are not allowed.",
            )
            yield lambda exchange: problem if refused(exchange.request.client_ip) else None
        if self.allow_models or self.deny_models:
            denied = any_of(self.deny_models)
            yield _models(_refused(any_of(self.allow_models), denied, bool(self.allow_models)))
            # Under whatever name it is asked for: an alias, a prefix or a combo leads to a target, too.
            yield _bar(lambda provider, target: denied(target))
        if self.allow_providers or self.deny_providers:
            kept_out = _refused(
                any_of(self.allow_providers), any_of(self.deny_providers), bool(self.allow_providers)
            )
            yield _bar(lambda provider, target: kept_out(provider))


def _refusing(check: Check) -> Callable[[Exchange], Reply | None]:
    """The only check there is."""

    def refusing(exchange: Exchange) -> Reply | None:
        problem = check(exchange)
        return refusal(problem) if problem is not None else None

    return refusing


def _refused(allowed: Test, denied: Test, only_allowed: bool) -> Test:
    return lambda name: denied(name) or (only_allowed and not allowed(name))


def _largest(size: int) -> Check:
    problem = Problem(
        kind="too_large", code="body_too_large", message=f"The request body is larger than {size} bytes."
    )
    return lambda exchange: problem if len(exchange.request.body) > size else None


def _deepest(depth: int) -> Check:
    problem = Problem(
        kind="invalid_request",
        code="json_too_deep",
        message=f"The JSON body is nested deeper than {depth} levels.",
    )

    shallow = Shallow(depth)

    def check(exchange: Exchange) -> Problem | None:
        text = exchange.request.body if exchange.bulk is None else exchange.outline
        # Most bodies have not so many brackets at all.
        if exchange.top is None and not opens_more(text, depth):
            return None
        return problem if is_deeper(text, depth, exchange.top, shallow) else None

    return check


def _models(refused: Test) -> Check:
    def check(exchange: Exchange) -> Problem | None:
        if not refused(exchange.model):
            return None
        return Problem(
            kind="permission",
            code="model_not_allowed",
            message=f"The model {exchange.model!r} is not allowed here.",
        )

    return check


def _bar(bar: Bar) -> Check:
    def check(exchange: Exchange) -> Problem | None:
        exchange.barred = (*exchange.barred, bar)
        return None

    return check

"""Cassettes: recorded answers of providers, to be played back."""

from __future__ import annotations

from typing import Annotated, Literal

from omniroute.declare import Options, option

Mode = Literal["auto", "record", "replay", "off"]


class Cassette(Options, frozen=True, kw_only=True):
    """A recording of what a provider was asked and what it answered, in a file that people can read and commit."""

    file: Annotated[str, option("The file, relative to the configuration. Providers may share one.")]
    mode: Annotated[
        Mode,
        option(
            "replay: only what is recorded, the provider is never asked. auto: what is not recorded is asked, and "
            "recorded. record: all of it anew. off: as if there were none."
        ),
    ] = "auto"
    speed: Annotated[
        float, option("How fast it plays: 1 as it was, 2 twice as fast; 0 without waiting.", ge=0)
    ] = 0
    ignore: Annotated[tuple[str, ...], option("Top-level keys of requests that may differ.")] = (
        "metadata",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "stream_options",
    )

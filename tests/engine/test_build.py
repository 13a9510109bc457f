"""From settings to objects: what only building can find is an error of the configuration."""

from __future__ import annotations

import pytest

from omniroute.errors import ConfigError
from omniroute.testing import FakeUpstream, Scripted, Seen, gateway
from tests.support.answers import anthropic, call, chat
from tests.support.http import post


async def test_what_cannot_be_built_is_told_as_a_finding() -> None:
    config = 'providers: {up: {format: openai-chat, base_url: "http://h/v1", accounts: {a: {key: "x\\ny"}}}}'
    with pytest.raises(ConfigError, match="account up/a: the key holds a control character"):
        async with gateway(config):
            pass


async def test_each_format_of_a_provider_may_have_its_own_credential() -> None:
    config = """
    providers:
      up:
        formats:
          openai-chat: {{base_url: "{url}/v1"}}
          anthropic-messages: {{base_url: "{url}/v1", auth: {{type: header, header: x-api-key}}}}
        accounts: {{a: {{key: secret-key}}}}
    """

    def script(seen: Seen) -> Scripted:
        return Scripted(json=anthropic() if seen.path.endswith("messages") else chat())

    async with FakeUpstream(script) as up, gateway(config.format(url=up.url)) as gw:
        await post(gw, *call("openai-chat", "up/m"))
        await post(gw, *call("anthropic-messages", "up/m"))
        first, second = [seen.headers for seen in up.requests]
    assert (first.get("authorization"), first.get("x-api-key")) == ("Bearer secret-key", None)
    assert (second.get("authorization"), second.get("x-api-key")) == (None, "secret-key")

"""AWS Signature Version 4: each request is signed with the account's secret, which itself is never sent.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import posixpath
import re
from collections.abc import Mapping
from hashlib import sha256
from time import gmtime, strftime
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from omniroute.config.secrets import Secret
from omniroute.config.settings import Account
from omniroute.declare import Options, credential, option
from omniroute.upstream.authorization import NO_KEY, Authorization, clean

ALGORITHM = "AWS4-HMAC-SHA256"
NO_KEY_ID = Authorization(missing="its access_key_id is empty")

_REGION = re.compile(r"\.([a-z]{2,4}(?:-[a-z]+)+-\d)\.")
_WITHOUT_REGION = "us-east-1"
"""What a host without a region in its name is signed for, as the provider's own tools do."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = "-_.~"


@credential("sigv4", example="{type: sigv4, service: bedrock, region: us-east-1}")
class SigV4(Options, frozen=True, kw_only=True):
    """Requests are signed as AWS wants it (Signature Version 4).

    An account has `access_key_id`, the secret access key as its `key` and, where its credentials are temporary, a
    `session_token`. A clock that is more than five minutes wrong makes all signatures invalid.
    """

    service: Annotated[str, option("The service that is signed for, such as `bedrock`.")]
    region: Annotated[
        str | None, option("The region; where it is not given, the one in the host's name.")
    ] = None

    def authorize(self, account: Account) -> Authorization:
        if not account.key:
            return NO_KEY
        if not account.access_key_id:
            return NO_KEY_ID
        token = account.session_token
        signer = Signer(
            key_id=clean(Secret(account.access_key_id)),
            key=Secret(clean(account.key)),
            token=Secret(clean(token)) if token else None,
            service=self.service,
            region=self.region,
        )
        return Authorization(sign=signer.sign)


class Signer:
    """Signs requests for one account."""

    def __init__(
        self, *, key_id: str, key: Secret, token: Secret | None, service: str, region: str | None
    ) -> None:
        self._key_id = key_id
        self._key = key
        self._token = token
        self._service = service
        self._region = region

    def sign(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> dict[str, str]:
        """The headers to add. `url` as it is sent, path and query encoded; `now` in epoch seconds.

        Of `headers` the content type and those of AWS itself are signed, as is the host.
        """
        parts = urlsplit(url)
        moment = strftime("%Y%m%dT%H%M%SZ", gmtime(now))
        added = {"X-Amz-Date": moment}
        if self._token is not None:
            added["X-Amz-Security-Token"] = self._token.reveal()
        signed = _signed_headers({**headers, **added, "Host": _host(parts)})
        request = canonical_request(method, parts, signed, sha256(body).hexdigest())
        region = self._region or _region(parts)
        scope = f"{moment[:8]}/{region}/{self._service}/aws4_request"
        text = f"{ALGORITHM}\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key_for(scope), text.encode(), "sha256").hex()
        added["Authorization"] = (
            f"{ALGORITHM} Credential={self._key_id}/{scope}, SignedHeaders={';'.join(signed)}, "
            f"Signature={signature}"
        )
        return added

    def _key_for(self, scope: str) -> bytes:
        """The key of that day, region and service."""
        key = b"AWS4" + self._key.reveal().encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


def canonical_request(method: str, parts: SplitResult, headers: Mapping[str, str], body_hash: str) -> str:
    """The request in the one form that both sides sign. `headers` are lower case, sorted and clean."""
    lines = [f"{name}:{value}\n" for name, value in headers.items()]
    return "\n".join(
        [
            method,
            _canonical_path(parts.path),
            _canonical_query(parts.query),
            "".join(lines),
            ";".join(headers),
            body_hash,
        ]
    )


def _canonical_path(path: str) -> str:
    """Without `.`, `..` and `//`, and encoded once more than it is sent."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    return quote(clean, safe="/" + _UNRESERVED)


def _canonical_query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    encoded = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _signed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Only what nothing on the way changes."""
    clean = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    return {
        name: clean[name]
        for name in sorted(clean)
        if name in ("host", "content-type") or name.startswith("x-amz-")
    }


def _host(parts: SplitResult) -> str:
    """The host as the header says it: without a port that goes without saying."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _region(parts: SplitResult) -> str:
    found = _REGION.search(f".{parts.hostname or ''}.")
    return found[1] if found else _WITHOUT_REGION

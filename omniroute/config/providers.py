"""Providers: that they speak a format somewhere, that their short names are their own, that someone pays."""

from __future__ import annotations

from omniroute.config.codes import Code
from omniroute.config.marks import Map, Path
from omniroute.config.report import did_you_mean, one_of
from omniroute.config.shape import Record, options_shape
from omniroute.config.values import check_value, url
from omniroute.config.view import Provider, View, auth_type, keyless, maps, needs, texts


def check_providers(view: View) -> None:
    """Tell what a provider lacks, and which accounts are inactive."""
    for provider in view.providers.values():
        _check_formats(provider, view)
        _check_model_formats(provider, view)
        _check_urls(provider, view)
        _check_auth(provider, view)
        _check_keys(provider, view)
    _check_prefixes(view)


def _check_formats(provider: Provider, view: View) -> None:
    tree, path = provider.tree, ("providers", provider.name)
    if tree.get("formats") or not provider.enabled or tree.get("transport", "http") != "http":
        if isinstance(tree.get("format"), str) and isinstance(tree.get("formats"), Map):
            has = one_of(tree["formats"])
            view.tell(Code.NO_FORMAT, f"`format` is none of its `formats`: {has}", (*path, "format"))
        return
    start = tree.get("from", "none")
    if isinstance(start, str) and start != "none" and start not in view.catalogue:  # that is told already
        return
    if "format" in tree:
        return view.tell(Code.NO_FORMAT, "`base_url` is missing", path, mark=view.key_mark(path))
    if "base_url" in tree:
        return view.tell(Code.NO_FORMAT, "`format` is missing", path, mark=view.key_mark(path))
    hint = did_you_mean(provider.name, view.catalogue)
    message = f"the catalogue has no {provider.name!r}, and the provider has no `format` and `base_url`"
    if provider.name in view.catalogue or tree.get("from") is not None:
        message = "the provider has no `format` and `base_url`"
    view.tell(Code.NO_FORMAT, message, path, hint, mark=view.key_mark(path))


def _check_model_formats(provider: Provider, view: View) -> None:
    formats = provider.tree.get("formats")
    for name, model in maps(provider.tree.get("models")):
        wanted = model.get("format")
        if isinstance(wanted, str) and isinstance(formats, Map) and wanted not in formats:
            path: Path = ("providers", provider.name, "models", name, "format")
            view.tell(
                Code.NO_FORMAT, f"the provider does not speak {wanted!r}: it speaks {one_of(formats)}", path
            )


def _check_urls(provider: Provider, view: View) -> None:
    """Other transports than HTTP have addresses of their own kind."""
    if provider.tree.get("transport", "http") == "http":
        for name, endpoint in maps(provider.tree.get("formats")):
            path: Path = ("providers", provider.name, "formats", name, "base_url")
            check_value(endpoint.get("base_url"), url, Code.BAD_URL, path, view)


def _check_auth(provider: Provider, view: View) -> None:
    """What the kind of authentication needs to know."""
    auth = provider.tree.get("auth")
    found = view.names.registry.find("credential", auth_type(provider.tree))
    if found is None or not isinstance(auth, Map):
        return
    shape: Record = options_shape(view.names.shapes, found.cls)
    for entry in shape.entries.values():
        if entry.required and auth.get(entry.key) is None:
            message = f"`{entry.key}` is missing: `type: {found.name}` needs it"
            view.tell(Code.MISSING_KEY, message, ("providers", provider.name, "auth"))


def _check_keys(provider: Provider, view: View) -> None:
    if keyless(provider.tree) or not provider.enabled:
        return
    for name, account in maps(provider.tree.get("accounts")):
        lacking = next((key for key in needs(provider.tree) if not account.get(key)), None)
        if account.get("enabled") is not False and lacking is not None:
            path: Path = ("providers", provider.name, "accounts", name)
            empty = lacking in account
            view.tell(
                Code.INACTIVE_ACCOUNT,
                f"the {lacking} is empty: the account is inactive"
                if empty
                else f"no {lacking}: the account is inactive",
                path,
                severity="note",
                mark=account.value_mark(lacking) if empty else account.mark,
            )


def _check_prefixes(view: View) -> None:
    """A prefix that is written must be free; those of two entries of the catalogue may meet."""
    owner: dict[str, str] = {}
    for provider in view.providers.values():
        for index, prefix in enumerate(texts(provider.tree.get("prefix"))):
            path: Path = ("providers", provider.name, "prefix", index)
            other = owner.setdefault(prefix, provider.name)
            if prefix in view.providers and prefix != provider.name:
                other = prefix
            if other != provider.name and not view.mark(path).origin.startswith("catalogue"):
                view.tell(
                    Code.DUPLICATE_PREFIX, f"the prefix {prefix!r} leads to provider {other!r} already", path
                )

"""The settings of a destination as they are written, and what of them may be shown or come from outside.

Secrets go one way: they can be referred to (`${NAME}`, `password_file`) and kept, never read, and never given in
clear, since what is sent over HTTP or typed in a shell is in too many logs and histories.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator

from b2bua.config.editing.refusal import EditRefused
from b2bua.config.masking import masked
from b2bua.config.problems import KeyPath, key_text
from b2bua.config.secrets import is_secret
from b2bua.config.yaml_tree import Plain

Settings = dict[str, Plain]
"""By key, as in YAML: durations are text, references are not replaced."""

MAX_DEPTH = 10
MAX_KEY = 256
MAX_INTEGER = 10**18
"""What YAML integers have in digits here."""

_PASSWORDS = ("password", "password_file")
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
# The one secret that destinations have had so far; that it is not set is told too.
_ALWAYS_TOLD = "auth.password"


def shown(settings: Settings) -> tuple[Settings, dict[str, str]]:
    """The settings without secrets, and which secrets are `set` or `unset`; references are shown as they are."""
    secrets = {_ALWAYS_TOLD: "unset"}
    for path, _ in _leaves(settings):
        if path[-1] == "password_file" or is_secret(path):
            secrets[key_text((*path[:-1], "password") if path[-1] == "password_file" else path)] = "set"
    whole = _without_secrets(settings, ())
    assert isinstance(whole, dict), "made of a mapping"
    return whole, secrets


def tag_of(settings: Settings) -> str:
    """A text that changes when what is shown of the settings does (an entity tag, RFC 9110 section 8.8.3)."""
    text = json.dumps(shown(settings), sort_keys=True)
    return f'"{hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]}"'


def with_secrets_of(wanted: Settings, before: Settings) -> Settings:
    """`wanted` with the passwords of `before` where it has logins without one."""
    kept = dict(wanted)
    for key, value in wanted.items():
        known = before.get(key)
        if (
            isinstance(value, dict)
            and isinstance(known, dict)
            and not any(each in value for each in _PASSWORDS)
        ):
            kept[key] = {**value, **{each: known[each] for each in _PASSWORDS if each in known}}
    return kept


def unmasked(wanted: Plain, before: Plain) -> Plain:
    """`wanted`, and where it says what `shown` made of a URI in `before`, that URI: what was read may be sent back."""
    if isinstance(wanted, dict) and isinstance(before, dict):
        return {key: unmasked(value, before.get(key)) for key, value in wanted.items()}
    known = before if isinstance(before, list) else [before]
    if isinstance(wanted, list):
        # Its own place first: two URIs may look the same.
        return [unmasked(value, [*known[index : index + 1], *known]) for index, value in enumerate(wanted)]
    if not isinstance(wanted, str):
        return wanted
    return next((each for each in known if isinstance(each, str) and masked(each) == wanted), wanted)


def check_settings(settings: Settings) -> None:
    """Raise `EditRefused` for values that YAML text cannot carry, and for secrets in clear."""
    _check_depth(settings, MAX_DEPTH)
    for path, value in _leaves(settings):
        field = key_text(path)[:MAX_KEY]
        if any(isinstance(step, str) and (len(step) > MAX_KEY or not _is_text(step)) for step in path):
            raise EditRefused("invalid_request", "a key that is too long or no text", field)
        if isinstance(value, str) and not _is_text(value):
            raise EditRefused("invalid_request", "not valid Unicode text", field)
        if isinstance(value, float) and not math.isfinite(value):
            raise EditRefused("invalid_request", "not a number", field)
        if isinstance(value, int) and abs(value) >= MAX_INTEGER:
            raise EditRefused("invalid_request", "a number that is too large", field)
        if is_secret(path) and not (isinstance(value, str) and _REFERENCE.fullmatch(value)):
            message = "a secret in clear; name an environment variable, ${NAME}, or a password_file"
            raise EditRefused("secret_in_clear", message, field)


def check_references(settings: Settings, before: Settings) -> None:
    """Raise `EditRefused` for a new `${NAME}` where its value would be sent or shown rather than kept.

    Who may edit destinations from afar could read every variable of our environment otherwise, in a header.
    """
    known = dict(_leaves(before))
    for path, value in _leaves(settings):
        if isinstance(value, str) and "${" in value.replace("$${", "") and not is_secret(path):
            if known.get(path) == value:
                continue
            message = "over the API, a reference to the environment is for passwords only"
            raise EditRefused("secret_in_clear", message, key_text(path)[:MAX_KEY])


def _leaves(value: Plain, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Plain]]:
    """Every scalar, and every empty list and mapping, with its path."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list) and value:
        for index, below in enumerate(value):
            yield from _leaves(below, (*path, index))
    elif path:
        yield path, value


def _without_secrets(value: Plain, path: KeyPath) -> Plain:
    if isinstance(value, dict):
        return {
            key: _without_secrets(below, (*path, key))
            for key, below in value.items()
            if not is_secret((*path, key)) or (isinstance(below, str) and _REFERENCE.fullmatch(below))
        }
    if isinstance(value, list):
        return [_without_secrets(below, path) for below in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return masked(value) if isinstance(value, str) else value


def _check_depth(value: Plain, levels: int) -> None:
    if levels == 0:
        raise EditRefused("invalid_request", f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            _check_depth(below, levels - 1)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

"""What can be done to destinations. Each edit is a function from the file as it stands to its new text.

An edit is tried again when somebody else was faster, so it decides by what it is given and nothing else. What is
refused here is refused for a reason that has a name of its own; everything else is found when the result is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set

from b2bua.config.editing.refusal import EditRefused
from b2bua.config.editing.settings import (
    Settings,
    check_references,
    check_settings,
    tag_of,
    unmasked,
    with_secrets_of,
)
from b2bua.config.editing.text import DestinationsText
from b2bua.config.editing.yaml_edit import block_of, rewritten, with_copy
from b2bua.config.section import NAME_ALLOWED, NAME_PATTERN

Edit = Callable[[DestinationsText], str]
"""Returns the new text. Raises `EditRefused`, and `NotEditable` of `yaml_edit`."""

Tags = Set[str] | None
"""Entity tags of what somebody has read; None for somebody who does not mind."""


def added(name: str, settings: Settings, *, from_afar: bool = False) -> Edit:
    """A new destination, last in the file. `from_afar`: who asks may not read our environment."""

    def edit(current: DestinationsText) -> str:
        _check_new(current, name)
        _check(settings, {}, from_afar=from_afar)
        _check_default(settings, is_default=False)
        written = {key: value for key, value in settings.items() if key != "default"}
        return rewritten(current.text, {**current.tree(), name: written})

    return edit


def replaced(name: str, settings: Settings, *, tags: Tags = None, from_afar: bool = False) -> Edit:
    """Other settings for a destination: keys that are not given are taken out, but a password is kept.

    `tags`: refuse when the destination is no longer what `tag_of` said one of these of.
    """

    def edit(current: DestinationsText) -> str:
        before = current.settings(name)
        _check_tag(before, tags)
        meant = {key: unmasked(value, before.get(key)) for key, value in settings.items()}
        _check(meant, before, from_afar=from_afar)
        _check_default(meant, is_default=before.get("default") is True)
        wanted = with_secrets_of(meant, before)
        if wanted.get("default") is False and "default" not in before:
            del wanted["default"]  # shown to whoever reads it, and not written
        return rewritten(current.text, {**current.tree(), name: wanted})

    return edit


def changed(name: str, change: Callable[[Settings], Settings]) -> Edit:
    """Settings made from those that a destination has."""

    def edit(current: DestinationsText) -> str:
        before = current.settings(name)
        wanted = change(before)
        check_settings(_without_what_stays(wanted, before))
        _check_default(wanted, is_default=before.get("default") is True)
        return rewritten(current.text, {**current.tree(), name: wanted})

    return edit


def reworded(name: str, before: str, after: str) -> Edit:
    """The lines of a destination, as somebody has edited them; `before` is what they were given."""

    def edit(current: DestinationsText) -> str:
        current.settings(name)
        start, end = block_of(current.text, name)
        if current.text[start:end] != before:
            raise EditRefused("destination_changed", "somebody else has changed it meanwhile")
        return current.text[:start] + after + current.text[end:]

    return edit


def removed(name: str, *, tags: Tags = None) -> Edit:
    """One destination less. Refused while it is the default, or anything refers to it."""

    def edit(current: DestinationsText) -> str:
        before = current.settings(name)
        _check_tag(before, tags)
        users = [f"routes[{index}]" for index in current.routes.get(name, ())]
        users += [
            f"the fallback of {other}"
            for other, settings in current.destinations.items()
            if settings.get("fallback") == name and other != name
        ]
        if users:
            raise EditRefused("destination_in_use", f"{name} is used: {', '.join(users)}")
        if before.get("default") is True:
            raise EditRefused(
                "destination_is_default", f"{name} is the default; make another one the default first"
            )
        return rewritten(current.text, {key: each for key, each in current.tree().items() if key != name})

    return edit


def duplicated(name: str, new_name: str) -> Edit:
    """A copy under another name, with its comments and references, behind the original; never the default."""

    def edit(current: DestinationsText) -> str:
        settings = current.settings(name)
        _check_new(current, new_name)
        copied = with_copy(current.text, name, new_name)
        copy = {key: value for key, value in settings.items() if key != "default"}
        return rewritten(copied, {**current.tree(), new_name: copy})

    return edit


def made_default(name: str) -> Edit:
    """The mark `default: true` moved to this destination."""

    def edit(current: DestinationsText) -> str:
        current.settings(name)
        wanted = current.tree()
        for other, settings in current.destinations.items():
            if other == name and settings.get("default") is not True:
                wanted[other] = {**settings, "default": True}
            elif other != name and "default" in settings:
                wanted[other] = {key: value for key, value in settings.items() if key != "default"}
        return rewritten(current.text, wanted)

    return edit


def _check(settings: Settings, before: Settings, *, from_afar: bool) -> None:
    check_settings(settings)
    if from_afar:
        check_references(settings, before)


def _check_new(current: DestinationsText, name: str) -> None:
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise EditRefused("invalid_request", f"not a name; allowed: {NAME_ALLOWED}", "name")
    if name in current.destinations:
        raise EditRefused("destination_exists", "there is a destination of this name")


def _check_tag(settings: Settings, tags: Tags) -> None:
    if tags is not None and tag_of(settings) not in tags:
        raise EditRefused(
            "destination_changed", "somebody else has changed it since you read it; read it again"
        )


def _check_default(settings: Settings, *, is_default: bool) -> None:
    """Exactly one is the default, so the mark moves in one step and by an edit of its own."""
    if (settings.get("default") is True) != is_default:
        message = (
            "it is the default until another one is made so"
            if is_default
            else "made so by an edit of its own"
        )
        raise EditRefused("destination_is_default", f"the default: {message}", "default")


def _without_what_stays(wanted: Settings, before: Settings) -> Settings:
    """What is new: an operator's password in clear may stay where it is."""
    return {
        key: _without_what_stays(value, known)
        if isinstance(value, dict) and isinstance(known := before.get(key), dict)
        else value
        for key, value in wanted.items()
        if key not in before or before[key] != value
    }

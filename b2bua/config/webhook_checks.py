"""Webhooks of destinations whose receiver may never be reached, seen where no name has to be looked up."""

from __future__ import annotations

from b2bua.config.callback_url import parse_callback_url
from b2bua.config.parts import Parts
from b2bua.config.webhooks import Webhooks

URL_KEYS = ("callback_url", "action_url")


def check_webhooks(parts: Parts, webhooks: Webhooks) -> None:
    """Note the URLs at addresses that `webhooks` does not allow."""
    for name, destination in parts.destinations.items():
        for key in URL_KEYS:
            text = getattr(destination, key)
            if text is not None and not may_be_reached(webhooks, text):
                parts.people.note(
                    (name, key),
                    "a private address",
                    allowed="public ones, those in webhooks.allow, or all with webhooks.allow_private",
                )


def may_be_reached(webhooks: Webhooks, text: str) -> bool:
    """False when the URL's host is an address that is not allowed; names are judged when they are called."""
    url = parse_callback_url(text)
    return not url.is_numeric or webhooks.may_reach(url.host, url.host)

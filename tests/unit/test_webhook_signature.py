"""Signature V3, against vectors that the published SDKs compute, and URLs with their tuning."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from b2bua.config.callback_url import EVERY_RETRY, parse_callback_url
from b2bua.config.webhooks import Webhooks
from b2bua.webhooks.signature import sign, signed_text

TOKEN = "MDAxMjM0NTY3ODlhYmNkZWZnaGlqa2xtbm9wcXJz"
NONCE = "12345678901234567890"
CALL = [("To", "+15555555555"), ("CallUUID", "u-1"), ("From", "+15551111111")]


@pytest.mark.parametrize(
    ("url", "parameters", "text", "signature"),
    [
        (
            "https://example.com/answer",
            CALL,
            "https://example.com/answer?CallUUIDu-1From+15551111111To+15555555555.",
            "VAj/HXXWJCs2Zu7aM44dR3Je6JP2MA+wc2mbjCU2ono=",
        ),
        (
            "https://example.com/answer?b=2&a=1",
            CALL[1:],
            "https://example.com/answer?a=1&b=2.CallUUIDu-1From+15551111111.",
            "KRqCyK7zU1LQcvOdHycqF1W2ZpNKhfU094gPNwSRlrY=",
        ),
        (
            "https://example.com/answer?b=2&a=1",
            [],
            "https://example.com/answer?a=1&b=2.",
            "+uet5tmSBQQR6/hqlg8/30oEO3kRo5faZW/+64J2Azo=",
        ),
    ],
)
def test_vectors_of_the_sdks(url: str, parameters: list[tuple[str, str]], text: str, signature: str) -> None:
    assert signed_text(url, parameters, NONCE) == text + NONCE
    assert sign(url, parameters, NONCE, [TOKEN]) == signature
    assert sign(url, parameters, NONCE, ["the-next-one", TOKEN]).split(",")[1] == signature


def test_a_url_and_its_tuning() -> None:
    url = parse_callback_url("https://App.example.com/h?x=1#ct=100&rt=3000&rc=5&tt=55000&rp=ct,5xx")
    assert (url.text, url.target, url.receiver) == (
        "https://App.example.com/h?x=1",
        "/h?x=1",
        "app.example.com:443",
    )
    tuning = url.tuning
    assert (tuning.connect_timeout, tuning.read_timeout, tuning.total_timeout) == (0.1, 3.0, 55.0)
    assert (tuning.retries, tuning.retry_on) == (5, ("ct", "5xx"))
    assert parse_callback_url("http://[::1]:81#rp=all").tuning.retry_on == EVERY_RETRY
    assert parse_callback_url("http://[::1]:81").receiver == "[::1]:81"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ftp://a/x",
            "a/x",
            "http://",
            "http:///x",
            "http://a b/",
            "http://ä/",
            "http://a:99999/",
            "http://u:p@a/",
        ),
        *(
            "http://2130706433/",
            "http://127.1/",
            "http://a/" + "x" * 2048,
            "http://a/\r\nX: y",
            "http://[::1/",
        ),
        *("http://a/#ct=99", "http://a/#ct=10001", "http://a/#rc=6", "http://a/#rt=40001", "http://a/#tt=0"),
        *(
            "http://a/#rp=never",
            "http://a/#er=local",
            "http://a/#rc=1&rc=2",
            "http://a/#rc=-1",
            "http://a/#rc",
        ),
    ],
)
def test_what_is_no_url_to_call_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        parse_callback_url(text)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::"),
        # Site-local (RFC 3879) and IPv4-compatible (RFC 4291 2.5.5.1): deprecated, and routed by some all the same.
        *("fec0::1", "feff:ffff::1", "::10.0.0.1", "::127.0.0.1", "::169.254.169.254", "::93.184.216.34"),
        "64:ff9b:1::1",
    ],
)
def test_private_addresses_are_not_reached_unless_allowed(address: str) -> None:
    assert not Webhooks().may_reach("app.example.com", address)


def test_who_may_be_reached() -> None:
    settings = Webhooks.model_validate({"allow": ["hooks.internal", "10.0.0.0/8"]})
    assert Webhooks().may_reach("app.example.com", "93.184.216.34")
    assert Webhooks().may_reach("app.example.com", "2606:2800:21f:cb07::1")
    assert settings.may_reach("app.example.com", "10.9.9.9")
    assert settings.may_reach("Hooks.Internal", "192.168.0.1")
    assert not settings.may_reach("app.example.com", "192.168.0.1")
    assert Webhooks(allow_private=True).may_reach("x", "127.0.0.1")
    assert not Webhooks(allow_private=True).may_reach("x", "0.0.0.0")

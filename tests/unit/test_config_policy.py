"""Which URIs from outside may be dialled: toll fraud begins with a pattern that matches too much."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from b2bua.config import Policy


def policy(*patterns: str) -> Policy:
    return Policy.model_validate({"allow": list(patterns)})


def test_without_patterns_nothing_is_allowed() -> None:
    assert not policy().allows("sip:anyone@cc.example.com")


@pytest.mark.parametrize(
    "uri",
    [
        "sip:queue-1@cc.example.com",
        "sip:queue-1@CC.example.com",
        "sips:queue-1@cc.example.com",
        "sip:queue-1@cc.example.com:5060;transport=tcp",
        "sip:queue-1@cc.example.com?X-Reason=billing",
        "tel:+15550001000",
        "tel:+1-555-000-1000",
        "sip:a@eu.pbx.example.com",
        "sip:%2B1555@numbers.example.com",
    ],
)
def test_what_the_patterns_allow(uri: str) -> None:
    patterns = ("sip:*@cc.example.com", "tel:+1*", "sip:*@*.pbx.example.com", "sip:+1*@numbers.example.com")

    assert policy(*patterns).allows(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:evil@attacker.example;x=@cc.example.com",
        "sip:evil@attacker.example?x=@cc.example.com",
        "sip:x@cc.example.com.attacker.example",
        "sip:x@xcc.example.com",
        "sip:x@cc.example.com;maddr=203.0.113.66",
        "sip:x@cc.example.com;MADDR=203.0.113.66",
        "sip:x@cc.example.com:9",
        "sip:cc.example.com",
        "tel:+4420000000",
        "tel:15550001000",
        "http://cc.example.com/",
        "mailto:x@cc.example.com",
        "sip:",
        "",
        "not a uri",
    ],
)
def test_what_they_do_not_allow(uri: str) -> None:
    assert not policy("sip:?*@cc.example.com", "tel:+1*").allows(uri)


def test_a_sips_pattern_does_not_allow_sip() -> None:
    assert not policy("sips:*@cc.example.com").allows("sip:x@cc.example.com")


@pytest.mark.parametrize(
    "pattern", ["*", "cc.example.com", "sip:*@*.com.*", "tel:", "http://x", "sip:*@", "sip:cc"]
)
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        policy(pattern)

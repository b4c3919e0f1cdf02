"""`policy.allow_prefixes` and `deny_prefixes`, and the limits of destinations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

GATEWAY = MAIN.replace("trunks:\n", "trunks:\n  gw: {outbound: {uri: 'sip:gw.example.com'}}\n")
NUMBER = (
    DESTINATIONS
    + "number:\n  method: invite\n  encryption: udp/rtp\n  trunk: gw\n  route: '+1 900 555 1234'\n"
)


def test_a_configured_number_that_policy_bars_is_an_error(tmp_path: Path) -> None:
    main = GATEWAY + "policy: {deny_prefixes: '+1900'}\n"
    (text,) = ConfigFiles(tmp_path, main, NUMBER).texts()
    assert text == (
        "destinations.yaml:10:10: number.route: a number that policy bars; found '+1 900 555 1234'; "
        "allowed: what policy.allow_prefixes and deny_prefixes let through"
    )


def test_a_longer_prefix_counts_more(tmp_path: Path) -> None:
    main = GATEWAY + "policy: {deny_prefixes: ['+1', '+49900'], allow_prefixes: ['+1900', '+49']}\n"
    policy = ConfigFiles(tmp_path, main, NUMBER).load().policy
    assert not policy.bars("tel:+19005551234")
    assert policy.bars("tel:+12125551234")
    assert policy.bars("sip:+49900123@h")
    assert not policy.bars("sip:+49123@h")
    assert policy.bars("sip:+3312345@h"), "where some are allowed, all others are not"
    assert policy.bars("sip:<>"), "what cannot be read is not dialled"


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("{deny_prefixes: [abc]}", "policy.deny_prefixes[0]: not the beginning of a number"),
        ("{deny_prefixes: ['+1'], allow_prefixes: ['001']}", "policy: +1 is both allowed and denied"),
        ("{max_calls_per_hour: 0}", "policy.max_calls_per_hour"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, policy: str, problem: str) -> None:
    (text,) = ConfigFiles(tmp_path, MAIN + f"policy: {policy}\n").texts()
    assert problem in text

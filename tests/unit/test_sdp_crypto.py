"""The crypto attribute (RFC 4568): what is read, what is stepped over, and that keys do not show."""

from __future__ import annotations

import base64

import pytest

from sip_stack.sdp import KEY_OCTETS, Crypto, Media, MediaLines, cryptos_of, parse, parse_crypto

KEY = bytes(range(30))
TEXT = base64.b64encode(KEY).decode()
USUAL = f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}"


@pytest.mark.parametrize(("suite", "octets"), KEY_OCTETS.items())
def test_what_is_written_is_read(suite: str, octets: int) -> None:
    crypto = Crypto(3, suite, bytes(octets))

    assert parse_crypto(str(crypto.value())) == crypto


@pytest.mark.parametrize(
    ("suffix", "lifetime", "octets"),
    [
        ("", None, 0),
        ("|2^31", 1 << 31, 0),
        ("|1048576", 1_048_576, 0),
        ("|1:4", None, 4),
        ("|2^20|1:4", 1 << 20, 4),
        ("|2^48|18446744073709551615:128", 1 << 48, 128),
        (" WSH=128", None, 0),
        ("|2^31 -EXTENSION=7 wsh=64", 1 << 31, 0),
        ("  ", None, 0),
    ],
)
def test_lifetime_identifier_and_advice(suffix: str, lifetime: int | None, octets: int) -> None:
    crypto = parse_crypto(USUAL + suffix)

    assert crypto is not None
    assert (crypto.key, crypto.lifetime, crypto.mki_octets) == (KEY, lifetime, octets)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        USUAL.replace("1 ", "x ", 1),
        USUAL.replace("1 ", "1234567890 ", 1),
        USUAL.replace("inline:", "uri:"),
        USUAL.replace("AES_CM_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80"),
        USUAL.replace("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"),
        USUAL.replace(TEXT, TEXT[:-4]),
        USUAL.replace(TEXT, "!" + TEXT[1:]),
        USUAL + f";inline:{TEXT}|2:4",
        USUAL + "|2^49",
        USUAL + "|0",
        USUAL + "|1:0",
        USUAL + "|1:129",
        USUAL + "|1:4|2^31",
        USUAL + "|1:4|2:4",
        USUAL + "|",
        USUAL + " KDR=2",
        USUAL + " UNENCRYPTED_SRTP",
        USUAL + " UNAUTHENTICATED_SRTP",
        USUAL + " FEC_ORDER=FEC_SRTP",
        USUAL + " WSH=64 SOMETHING=1",
    ],
)
def test_what_cannot_be_used_is_stepped_over(text: str) -> None:
    assert parse_crypto(text) is None
    media = Media(
        "audio",
        4000,
        MediaLines("RTP/SAVP", ("0",), attributes=(("crypto", text), ("crypto", "7" + USUAL[1:]))),
    )
    assert [crypto.tag for crypto in cryptos_of(media)] == [7]


@pytest.mark.parametrize(
    "written", ["AES_CM_256_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80", "aes_256_cm_hmac_sha1_80"]
)
def test_both_spellings_of_aes_256_are_read_and_echoed(written: str) -> None:
    key = base64.b64encode(bytes(46)).decode()
    crypto = parse_crypto(f"4 {written} inline:{key}|2^31|1:4")

    assert crypto is not None
    assert crypto.suite == "AES_256_CM_HMAC_SHA1_80"
    answer = crypto.answered_with(b"\x01" * 46)
    assert answer.value() == f"4 {written} inline:{base64.b64encode(bytes([1]) * 46).decode()}"


def test_padding_may_be_missing() -> None:
    key = base64.b64encode(bytes(46)).decode()
    assert key.endswith("==")

    crypto = parse_crypto(f"1 AES_256_CM_HMAC_SHA1_80 inline:{key.rstrip('=')}")

    assert crypto is not None
    assert crypto.key == bytes(46)


def test_of_two_lines_with_one_tag_the_first_holds() -> None:
    other = USUAL.replace(TEXT, base64.b64encode(bytes(30)).decode())
    media = Media(
        "audio", 4000, MediaLines("RTP/SAVP", ("0",), attributes=(("crypto", USUAL), ("crypto", other)))
    )

    assert [crypto.key for crypto in cryptos_of(media)] == [KEY]


def test_keys_are_in_no_repr() -> None:
    body = f"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nk=base64:{TEXT}\nm=audio 4 RTP/SAVP 0\na=crypto:{USUAL}\n"
    session = parse(body.encode())
    crypto = cryptos_of(session.media[0])

    for value in (session, session.media, crypto, crypto[0].value(), [crypto[0].value()]):
        assert TEXT not in repr(value)
    assert TEXT.encode() in session.encode()

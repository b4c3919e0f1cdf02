"""Known answers of digest authentication, from the RFCs; provenance in data/digest-vectors/NOTE.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sip_stack.auth import algorithm_named, response_value

VECTORS = json.loads(
    (Path(__file__).parent / "data" / "digest-vectors" / "digest_vectors.json").read_text(encoding="utf-8")
)["vectors"]


def test_all_vectors_are_here() -> None:
    assert len(VECTORS) == 9
    assert {vector["algorithm"] for vector in VECTORS} == {"MD5", "MD5-sess", "SHA-256", "SHA-512-256"}


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{each['source']} {each['algorithm']}" for each in VECTORS])
def test_response_value_is_the_published_one(vector: dict[str, str]) -> None:
    algorithm = algorithm_named(vector["algorithm"])
    assert algorithm is not None, f"this Python cannot compute {vector['algorithm']}"
    assert vector["expected"] == response_value(
        algorithm,
        username=vector["username"],
        password=vector["password"],
        realm=vector["realm"],
        nonce=vector["nonce"],
        method=vector["method"],
        uri=vector["uri"],
        qop=vector.get("qop"),
        nonce_count=vector.get("nc", ""),
        cnonce=vector.get("cnonce", ""),
        body=vector.get("body", "").encode(),
    )

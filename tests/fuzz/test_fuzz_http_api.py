"""The API against its own description: whatever the document allows, and what it does not, is answered as it says.

Every operation that is there is driven, new ones by themselves. What an operation may answer is declared in one way:
`documented()` in `b2bua/http_api/documented.py`.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema

from b2bua.http_api.app import api_document
from tests.support.api_client import KEY, ApiClient
from tests.support.api_contract import drive, operations

EXAMPLES = 40
"""For each operation, and as many of what it does not take."""
KNOWN = {
    "call_id": ("call-1", "call-2", "call-3"),
    "handoff_id": ("handoff-1", "handoff-2"),
    "name": ("desk", "billing", "back"),
}
OPERATIONS = [*operations(cast(dict[str, Any], api_document()))]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> ApiClient:
    """The API."""
    return ApiClient(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def schema(api: ApiClient) -> BaseSchema:
    """The description as a client gets it, and the API behind it."""
    return schemathesis.openapi.from_asgi("/openapi.json", api.app)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: " ".join(map(str, each)))
def test_every_answer_is_one_that_the_document_describes(
    api: ApiClient, schema: BaseSchema, operation: tuple[str, str, GenerationMode]
) -> None:
    api.control.draining = False  # one of the operations begins a drain, and /readyz says so with 503
    drive(schema, operation, key=KEY, known=KNOWN, examples=EXAMPLES)

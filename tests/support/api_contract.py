"""Driving an HTTP API by its own OpenAPI description, and judging each answer by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

import schemathesis
from hypothesis import given, settings
from schemathesis import CheckContext, GenerationMode, Response, checks
from schemathesis.schemas import BaseSchema

Known = Mapping[str, Sequence[str]]
"""Ids that lead somewhere, by the name of their parameter: a made-up one is only ever 404."""


def operations(document: dict) -> Iterator[tuple[str, str, GenerationMode]]:
    """Each operation of a description, and once more for what it does not take, where it takes anything."""
    for path, of_path in document["paths"].items():
        for method, operation in of_path.items():
            yield method, path, GenerationMode.POSITIVE
            if operation.get("parameters") or operation.get("requestBody"):
                yield method, path, GenerationMode.NEGATIVE


def drive(
    schema: BaseSchema, operation: tuple[str, str, GenerationMode], *, key: str, known: Known, examples: int
) -> None:
    """Ask an operation for as many things, always the same ones. Fails the test when an answer is not as described."""
    method, path, mode = operation

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(schema[path][method].as_strategy(mode))
    def holds(case: schemathesis.Case) -> None:
        _lead_somewhere(case, known)
        case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, checks=_CHECKS)

    holds()


def _lead_somewhere(case: schemathesis.Case, known: Known) -> None:
    """Put a known id in the place of most of those that were made up; always the same for the same case."""
    for name, ids in known.items():
        made_up = case.path_parameters.get(name)
        if made_up is not None and (number := crc32(repr((made_up, case.body)).encode())) % 4:
            case.path_parameters[name] = ids[number % len(ids)]


def _is_of_its_schema(context: CheckContext, answer: Response, case: schemathesis.Case) -> bool | None:
    """The body is as described. What is described of a stream of events is that it is text."""
    if any(kind.startswith("text/event-stream") for kind in answer.headers.get("content-type", ())):
        return None
    return checks.response_schema_conformance(context, answer, case)


_CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    _is_of_its_schema,
]

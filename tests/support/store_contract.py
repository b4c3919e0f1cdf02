"""What every backend of the store does, as tests that a module takes over by importing them (`backend` is its own)."""

from __future__ import annotations

from b2bua.store import Backend, Kind, Place, Removal
from tests.support.store_backends import document


def keys(backend: Backend, group: str, before: Place | None = None, limit: int = 10) -> list[str]:
    return [each.place.key for each in backend.find(Kind.HANDOFF, group, before, limit)]


def test_what_is_written_is_read_and_the_newest_version_wins(backend: Backend) -> None:
    now = backend_now(backend)
    backend.write([document("a", created=now, body='{"n":1}'), document("b", created=now, body='{"n":2}')])
    backend.write([document("a", created=now, body='{"n":3}')])

    assert backend.read(Kind.HANDOFF, ["a", "b", "c"]) == {"a": '{"n":3}', "b": '{"n":2}'}
    assert backend.read(Kind.CALL, ["a"]) == {}


def test_a_group_is_read_page_by_page_newest_first(backend: Backend) -> None:
    now = backend_now(backend)
    # Some share a millisecond: those are in the order of their keys.
    places = [Place(now + 10 * (number // 3), f"k{number}") for number in range(10)]
    backend.write([document(place.key, created=place.created, group="s") for place in places])
    backend.write([document("other", created=now, group="t"), document("alone", created=now)])

    newest_first = [place.key for place in sorted(places, reverse=True)]
    assert keys(backend, "s") == newest_first
    assert keys(backend, "s", limit=4) == newest_first[:4]
    pages: list[str] = []
    before: Place | None = None
    while page := backend.find(Kind.HANDOFF, "s", before, 2):
        pages += [each.place.key for each in page]
        before = page[-1].place
    assert pages == newest_first
    assert keys(backend, "nobody") == keys(backend, "") == []


def test_a_removed_document_is_gone(backend: Backend) -> None:
    now = backend_now(backend)
    backend.write([document("c", kind=Kind.TRANSFER, created=now)])
    backend.write([Removal(Kind.TRANSFER, "c")])

    assert backend.read(Kind.TRANSFER, ["c"]) == {}


def test_what_is_removed_leaves_its_group(backend: Backend) -> None:
    now = backend_now(backend)
    backend.write([document(key, kind=Kind.JOURNAL, created=now, group="node") for key in ("a", "b")])
    backend.write([Removal(Kind.JOURNAL, "a", "node")])

    assert [each.place.key for each in backend.find(Kind.JOURNAL, "node", None, 5)] == ["b"]


def test_text_of_any_kind_survives(backend: Backend) -> None:
    now = backend_now(backend)
    group = "Gr\xfc\xdfe \u6f22\U0001f3a7 ' \" ; -- *?["
    backend.write([document("a b:c", created=now, group=group, body='{"s":"\\udcfc"}')])

    assert [each.body for each in backend.find(Kind.HANDOFF, group, None, 5)] == ['{"s":"\\udcfc"}']
    assert backend.read(Kind.HANDOFF, ["a b:c"]) == {"a b:c": '{"s":"\\udcfc"}'}


def backend_now(backend: Backend) -> int:
    """The milliseconds of the clock that the backend goes by."""
    return round(backend._wall_clock() * 1000)  # type: ignore[attr-defined]

"""Token buckets let a rate and a burst through; the table that keeps them never grows."""

from __future__ import annotations

from b2bua.admission.token_bucket import BoundedTable, TokenBucket


def taken(bucket: TokenBucket, now: float, attempts: int = 100) -> int:
    return sum(bucket.take(now) for _ in range(attempts))


def test_a_burst_goes_through_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=5, burst=10, now=100.0)

    assert taken(bucket, 100.0) == 10
    assert taken(bucket, 100.1) == 0
    assert taken(bucket, 101.1) == 5
    assert taken(bucket, 1000.0) == 10, "a long rest fills it no further"


def test_asking_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1, now=0.0)

    assert bucket.has(0.0)
    assert bucket.has(0.0)
    assert bucket.take(0.0)
    assert not bucket.has(0.5)
    assert bucket.has(1.0)


def test_a_change_of_rate_counts_from_the_next_look_on() -> None:
    bucket = TokenBucket(rate=1, burst=100, now=0.0)
    taken(bucket, 0.0)
    bucket.rate = 20

    assert taken(bucket, 1.0) == 20


def test_a_full_table_forgets_its_oldest_entry() -> None:
    table: BoundedTable[int] = BoundedTable(3)
    for number, key in enumerate("abc"):
        table.put(key, number)
    table.put("a", 10)
    table.put("d", 4)

    assert len(table) == 3
    assert [table.get(key) for key in "abcd"] == [10, None, 2, 4]
    assert "b" not in table
    table.pop("d")
    table.pop("never there", None)
    assert len(table) == 2

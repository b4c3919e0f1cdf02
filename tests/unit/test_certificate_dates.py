"""The days that certificates of ours have left: what is said of them, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from b2bua.certificates import DAY, Certificate, describe, read_certificate
from b2bua.tls import ExpiryWatch
from tests.support.certificates import Authority


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return read_certificate(Authority(tmp_path).issue("own", ["b2bua.example.com"]).certificate)


@pytest.mark.parametrize(
    ("days_left", "says"),
    [
        (21.5, None),
        (20.9, "in 20 days"),
        (2.1, "in 2 days"),
        (1.5, "in 36 hours"),
        (0.01, "in 0 hours"),
        (-0.5, "expired on"),
        (40, "not valid before"),
    ],
)
def test_what_is_said(certificate: Certificate, days_left: float, says: str | None) -> None:
    warning = certificate.warning(certificate.not_after - days_left * DAY)
    assert (warning is None) if says is None else (warning is not None and says in warning)


def test_all_is_told_to_who_asks(certificate: Certificate) -> None:
    told = describe(certificate, certificate.not_after - 25 * DAY)
    assert told.startswith(
        f"certificate {certificate.file} is for b2bua.example.com, somebody; expires on 20"
    )
    assert told.endswith(", in 25 days")


def test_the_log_is_told_once_a_day_and_at_once_of_another_certificate(
    certificate: Certificate, tmp_path: Path
) -> None:
    moments = [certificate.not_after - 30 * DAY]
    with structlog.testing.capture_logs() as told:
        watch = ExpiryWatch(lambda: moments[-1])
        for days_left in (30, 20, 19.5, 19.2, 18.9, 18.5):
            moments.append(certificate.not_after - days_left * DAY)
            watch.look([certificate])
        assert len(told) == 2
        watch.look([read_certificate(Authority(tmp_path, "other CA").issue("other", days=12).certificate)])
        assert len(told) == 3
        assert {each["event"] for each in told} == {"certificate_dates"}

"""`b2bua trace`: the SIP messages of a call, asked of the B2BUA that runs with the same configuration."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from urllib.parse import quote

from b2bua.config import Configuration
from b2bua.trace import Format

PATIENCE = 10.0
"""Seconds for the answer."""
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""How a program of this machine reaches a listener on all addresses."""


class TraceRefused(Exception):
    """There is nothing to show; the text says why."""


def fetch_trace(configuration: Configuration, call_id: str, shape: Format) -> bytes:
    """The trace of a call in a format. Raises `TraceRefused`."""
    api = configuration.api
    if api is None:
        raise TraceRefused("the configuration has no `api`, which is what knows the traces")
    host = ANY.get(api.listen.host, api.listen.host)
    connection = http.client.HTTPConnection(host, api.listen.port, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {api.keys[0].get_secret_value()}"} if api.keys else {}
    try:
        path = f"/v1/calls/{quote(call_id, safe='')}/trace?format={shape}"
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        raise TraceRefused(f"no B2BUA answers at {host}:{api.listen.port}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise TraceRefused(_why(answer.status, content))
    return content


def write_trace(content: bytes, output: Path | None) -> None:
    """Write to a file, or to stdout. Raises OSError."""
    if output is not None:
        output.write_bytes(content)
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _why(status: int, content: bytes) -> str:
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the API answered {status}"

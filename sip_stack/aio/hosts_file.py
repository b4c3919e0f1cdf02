"""The hosts file: names that need no name server."""

from __future__ import annotations

from pathlib import Path

from sip_stack.locating import address_version

FileState = tuple[int, int, int] | None


class HostsFile:
    """The names of a hosts file, read again when the file changes. A missing file has no names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: FileState = None
        self._names: dict[str, tuple[str, ...]] = {}

    def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of a name, in the order of the file; case is ignored."""
        state = file_state(self._path)
        if state != self._state:
            self._names = self._read()
            self._state = state
        return self._names.get(name.lower(), ())

    def _read(self) -> dict[str, tuple[str, ...]]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        names: dict[str, tuple[str, ...]] = {}
        for line in text.splitlines():
            address, *aliases = line.partition("#")[0].split() or [""]
            # An address with a zone (fe80::1%eth0) is of no use in a Via.
            if "%" in address or address_version(address) is None:
                continue
            for alias in aliases:
                known = names.get(alias.lower(), ())
                if address not in known:
                    names[alias.lower()] = (*known, address)
        return names


def file_state(path: Path) -> FileState:
    """Changes when the file does; None when it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

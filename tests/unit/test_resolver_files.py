"""The files that the resolver reads: hosts and resolv.conf, which change under a server that runs for months."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sip_stack.aio.hosts_file import HostsFile
from sip_stack.aio.name_server import NameServer
from sip_stack.aio.resolver import Resolver
from sip_stack.locating import ResolutionError


def test_the_hosts_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    hosts = HostsFile(path)
    assert hosts.addresses("a") == ()
    path.write_text("192.0.2.1 a\n")
    assert hosts.addresses("a") == ("192.0.2.1",)
    before = path.stat()
    path.write_text("192.0.2.2 a\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert hosts.addresses("a") == ("192.0.2.2",)
    path.unlink()
    assert hosts.addresses("a") == ()


def test_the_hosts_file_is_not_read_again_when_it_did_not_change(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("192.0.2.1 a\n")
    before = path.stat()
    hosts = HostsFile(path)
    hosts.addresses("a")
    path.write_text("192.0.2.2 a\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hosts.addresses("a") == ("192.0.2.1",)


def test_the_hosts_file_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(
        b"# 192.0.2.1 a\n\n   \n192.0.2.2\n300.1.2.3 a\nnonsense\n\xff\xfe a\nfe80::1%lo a\n"
        b"\t::1 A b#c\n192.0.2.3\ta\r\n192.0.2.3 a\n"
    )
    hosts = HostsFile(path)
    assert hosts.addresses("a") == ("::1", "192.0.2.3")
    assert hosts.addresses("b") == ("::1",)
    assert hosts.addresses("c") == ()


def test_a_hosts_file_that_cannot_be_read_has_no_names(tmp_path: Path) -> None:
    assert HostsFile(tmp_path).addresses("a") == ()


# The system's name servers


def test_the_name_servers_are_the_system_s_and_changes_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    resolver = NameServer(None, 1.0, path)
    assert resolver.configured() is None
    path.write_text("nameserver 192.0.2.53\nsearch example.test\n")
    configured = resolver.configured()
    assert configured is not None
    assert list(configured.nameservers) == ["192.0.2.53"]
    assert resolver.configured() is configured
    path.write_text("nameserver 192.0.2.54\n# longer than before, whatever the clock says\n")
    changed = resolver.configured()
    assert changed is not None
    assert list(changed.nameservers) == ["192.0.2.54"]


@pytest.mark.parametrize(
    "text", ["", "nameserver\n", "nameserver not-an-address\n", f"search {'a' * 70}.b\n"]
)
def test_a_broken_system_configuration_is_no_name_server(tmp_path: Path, text: str) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)

    async def scene() -> None:
        resolver = Resolver(resolv_conf=path, hosts=tmp_path / "hosts")
        with pytest.raises(ResolutionError, match="no name server is configured"):
            await resolver.addresses("cc.example.test")

    asyncio.run(scene())


def test_a_broken_system_configuration_leaves_the_last_good_one(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\n")
    resolver = NameServer(None, 1.0, path)
    good = resolver.configured()
    assert good is not None
    path.write_text("")
    assert resolver.configured() is good

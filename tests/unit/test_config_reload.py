"""Edits while running: seen by content, taken when good, reported once when bad."""

from __future__ import annotations

import os
from pathlib import Path

from b2bua.config import ConfigurationWatcher
from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles


def test_nothing_changed_until_the_content_does(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    watcher = ConfigurationWatcher(files.load())

    os.utime(files.main, (1, 1))
    assert not watcher.changed()

    files.destinations.write_text(DESTINATIONS + "  description: new\n")
    assert watcher.changed()


def test_a_good_edit_is_a_new_snapshot_and_the_old_one_stays_as_it_was(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    old = files.load({"NAME": "x"}, ["timers.ring_timeout=7s"])
    watcher = ConfigurationWatcher(old)
    files.destinations.write_text(DESTINATIONS + "  description: new ${NAME}\n")

    result = watcher.reload()

    assert result.problems == ()
    assert result.restart_needed == ()
    assert result.configuration is not None
    assert result.configuration.default_destination.description == "new x"
    assert result.configuration.timers.ring_timeout == 7
    assert old.default_destination.description == ""
    assert not watcher.changed()


def test_a_bad_edit_is_reported_once_and_seen_again_when_mended(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    watcher = ConfigurationWatcher(files.load())
    files.main.write_text("sip: [")

    result = watcher.reload()

    assert result.configuration is None
    assert len(result.problems) == 1
    assert not watcher.changed()

    files.main.write_text(MAIN)
    assert watcher.changed()
    assert watcher.reload().configuration is not None


def test_a_file_that_is_missing_is_waited_for(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    watcher = ConfigurationWatcher(files.load())
    files.main.write_text(MAIN.replace("destinations.yaml", "new.yaml"))
    assert watcher.reload().configuration is None
    assert not watcher.changed()

    files.destinations.rename(tmp_path / "new.yaml")

    assert watcher.changed()
    assert watcher.reload().configuration is not None
    assert not watcher.changed()


def test_a_changed_password_file_is_an_edit(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old")
    files = ConfigFiles(
        tmp_path, destinations=DESTINATIONS + "  auth: {username: a, password_file: secret}\n"
    )
    watcher = ConfigurationWatcher(files.load())

    secret.write_text("new")

    assert watcher.changed()


def test_what_needs_a_restart_is_told_until_it_is_as_it_was_at_the_start(tmp_path: Path) -> None:
    files = ConfigFiles(tmp_path)
    watcher = ConfigurationWatcher(files.load())
    files.main.write_text(
        MAIN.replace("127.0.0.1:0", "127.0.0.1:5070")
        + "media: {ports: 20000-20999}\napi: {listen: 127.0.0.1:0}\nstore: sqlite:x\n"
    )

    assert watcher.reload().restart_needed == ("sip.listen", "media.ports", "api.listen", "store")
    assert watcher.reload().restart_needed == ("sip.listen", "media.ports", "api.listen", "store")

    files.main.write_text(MAIN + "timers: {ring_timeout: 10s}\n")
    assert watcher.reload().restart_needed == ()

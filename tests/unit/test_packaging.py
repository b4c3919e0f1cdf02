"""What is shipped: the wheel, and the container image that is made from it.

There is no container engine where the tests run. So the build commands of `docker/Dockerfile` are run here,
as they stand, over the files that `.dockerignore` lets into the image; only the image's folders are renamed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()


def build_commands() -> list[str]:
    """The RUN lines between the sources' arrival in the build stage and the next stage."""
    after = DOCKERFILE.split("COPY . .\n", 1)[1].split("\nFROM ", 1)[0]
    return [line.removeprefix("RUN ") for line in after.splitlines() if line.startswith("RUN ")]


def image_sources(target: Path) -> Path:
    """A copy of what `.dockerignore` lets through, and nothing else."""
    skipped = shutil.ignore_patterns("__pycache__", "*.so", "target", "state")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line.startswith("!"):
            continue
        source = ROOT / line.removeprefix("!")
        copy = target / line.removeprefix("!")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=skipped)
        else:
            shutil.copy(source, copy)
    return target


def environment() -> dict[str, str]:
    """Ours, with this Python as `python`; compiled dependencies are shared with the developer's own build."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    kept["CARGO_TARGET_DIR"] = str(ROOT / "target")
    return kept


def run(command: str, folder: Path) -> str:
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment(), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def python(code: str, image: Path) -> str:
    return run(f'{image}/opt/b2bua/bin/python -c "{code}"', image)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file system that the Dockerfile's build commands leave behind."""
    top = tmp_path_factory.mktemp("image")
    sources = image_sources(top / "source")
    commands = build_commands()
    assert any("pip wheel" in command for command in commands), "the Dockerfile builds no wheel"
    for command in commands:
        run(re.sub(r"(?<![\w.])/(wheels|opt)\b", rf"{top}/\1", command), sources)
    return top


@pytest.mark.timeout(600)
def test_the_installed_wheel_has_the_command_and_the_native_core(image: Path) -> None:
    assert "Usage: b2bua" in run(f"{image}/opt/b2bua/bin/b2bua --help", image)
    where = run(
        f"{image}/opt/b2bua/bin/python -c 'import media._native as core; print(core.__file__)'", image
    )
    assert where.startswith(f"{image}/opt/b2bua/"), "the core came from somewhere else than the wheel"


@pytest.mark.timeout(600)
def test_the_wheel_carries_types_and_no_sources_of_the_core(image: Path) -> None:
    listing = "from importlib import metadata; print(*metadata.files('b2bua'))"
    files = python(listing, image).split()
    for expected in ("b2bua/py.typed", "sip_stack/py.typed", "media/py.typed", "media/_native.pyi"):
        assert expected in files
    ours = re.compile(r"(b2bua|sip_stack|media)[/-]|\.\./")
    strays = [name for name in files if name.startswith("media/core/") or not ours.match(name)]
    assert strays == []


@pytest.mark.timeout(600)
def test_the_image_can_share_a_redis(image: Path) -> None:
    assert "redis" in python("import redis; print(redis.__name__)", image)


@pytest.mark.timeout(600)
def test_the_image_checks_the_configuration_it_ships(image: Path) -> None:
    assert "/etc/b2bua/b2bua.yaml" in DOCKERFILE
    assert "COPY configs /etc/b2bua\n" in DOCKERFILE
    shutil.copytree(image / "source/configs", image / "etc/b2bua")
    assert "ok" in run(f"{image}/opt/b2bua/bin/b2bua check --config etc/b2bua/b2bua.yaml", image)


def test_the_container_runs_as_a_user_of_its_own() -> None:
    last_stage = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    users = re.findall(r"^USER (\S+)$", last_stage, re.MULTILINE)
    assert users
    assert users[-1] not in {"root", "0"}


def load_health_check() -> Callable[[str, int], bool]:
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "docker/healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.answers


@pytest.mark.parametrize(
    ("reply", "healthy"), [(b"SIP/2.0 200 OK\r\n\r\n", True), (b"HTTP/1.1 200 OK\r\n\r\n", False)]
)
def test_the_health_check_wants_a_sip_response(reply: bytes, healthy: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)

        def answer() -> None:
            request, source = peer.recvfrom(65535)
            assert request.startswith(b"OPTIONS sip:")
            peer.sendto(reply, source)

        server = threading.Thread(target=answer)
        server.start()
        assert load_health_check()("127.0.0.1", peer.getsockname()[1]) is healthy
        server.join()


def test_the_health_check_fails_where_nothing_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert load_health_check()("127.0.0.1", port) is False

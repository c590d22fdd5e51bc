"""``deploy/Dockerfile`` and ``deploy/compose.yaml``: each instruction is run in a folder in place of ``/``.

No container runtime is needed. Not tried are the base images, the user and the network of the containers.

Source: deploy/README.md#containers.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.plugins.demo import write_demo
from tests.plugins.locked_packages import link_locked_packages
from tests.plugins.ports import free_port
from tests.plugins.programs import run_program, wait_until
from tests.plugins.served_broker import is_ready

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PLACES: Final = re.compile(r"(?<![\w.])/(?=opt/|etc/broker|var/lib|src)")


@dataclass
class Image:
    """A folder in place of the file system of an image, and what its instructions set."""

    root: Path
    work_folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)

    def move_paths_to_root(self, text: str) -> str:
        """Return a text with the absolute paths of the image below the folder."""
        return PLACES.sub(f"{self.root}/", text)

    def follow(self, name: str, words: str) -> None:
        """Do what an instruction says."""
        text = self.move_paths_to_root(words)
        if name == "WORKDIR":
            self.work_folder = Path(text)
            self.work_folder.mkdir()
        elif name == "COPY" and not text.startswith("--from"):
            *sources, target = text.split()
            for source in sources:
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
                copy(ROOT / source, self.work_folder / target / (source if target.endswith("/") else ""))
        elif name == "RUN":
            self.run(text)
        elif name == "ENV":
            variable, _, value = text.partition("=")
            self.environ[variable] = value.replace("$PATH", os.environ["PATH"])
        elif name in {"CMD", "HEALTHCHECK"}:
            self.commands[name] = json.loads(text[text.index("[") :])

    def run(self, script: str) -> None:
        """Run a script; what is to be downloaded is there already, and files belong to one user."""
        own = f'set -e; python() {{ {shlex.quote(sys.executable)} "$@"; }}; chown() {{ :; }}; '
        environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        subprocess.run(["bash", "-c", own + script], cwd=self.work_folder, env=environ, check=True)
        for packages in self.root.glob("opt/broker/lib/python*/site-packages"):
            link_locked_packages(packages, "requirements.txt")

    def shell(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the environment variables of a container."""
        return {**os.environ, **self.environ, **variables, "PYTHONPATH": ""}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Follow the instructions of the Dockerfile one after the other."""
    root = tmp_path_factory.mktemp("image")
    for name in ("opt", "etc", "var/lib"):
        (root / name).mkdir(parents=True)
    made = Image(root, root)
    for line in (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            made.follow(*line.split(" ", 1))
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """Run the command of the service redis; return the address of the store."""
    port = free_port()
    command = [*COMPOSE["services"]["redis"]["command"], "--port", str(port), "--dir", str(tmp_path)]
    with run_program(command, {}, stdout=subprocess.DEVNULL):
        yield COMPOSE["x-broker"]["environment"]["BROKER_STORE__URL"].replace("6379", str(port))


def test_the_services_of_the_containers_become_ready(image: Image, store: str, tmp_path: Path) -> None:
    """The commands of the image and of compose.yaml start the broker, its work and Redis."""
    setting = write_demo(tmp_path / "demo")
    environ = image.shell({"BROKER_STORE__URL": store, "BROKER_CONFIG": str(setting.config)})
    services = COMPOSE["services"]
    assert services["broker"]["command"] == image.commands["CMD"]
    with (
        (tmp_path / "log").open("wb") as log,
        run_program(services["broker"]["command"], environ, cwd=tmp_path, stdout=log, stderr=log),
        run_program(services["work"]["command"], environ, cwd=tmp_path, stdout=log, stderr=log),
    ):
        wait_until(lambda: is_ready(setting.ports.number("broker")))
        healthy = subprocess.run(
            image.commands["HEALTHCHECK"], env=environ, check=False, capture_output=True, text=True
        )
        assert (healthy.returncode, healthy.stdout) == (0, "ready\n")


def test_the_documented_first_commands_run(image: Image) -> None:
    """``broker init`` writes to the mounted folder, and ``broker check`` says what is to be filled in."""
    documented = (DEPLOY / "README.md").read_text(encoding="utf-8")
    (init,) = re.findall(r"library-broker (broker init .+)$", documented, re.MULTILINE)
    for words, code in ((image.move_paths_to_root(init), 0), ("broker check", 78)):
        done = subprocess.run(shlex.split(words), env=image.shell({}), check=False, capture_output=True, text=True)
        assert done.returncode == code, done.stderr


def test_nginx_finds_what_its_configuration_names() -> None:
    """Error pages and certificate are mounted where deploy/nginx.conf expects them; all share one network."""
    services = COMPOSE["services"]
    mounts = dict(each.split(":")[:2] for each in services["nginx"]["volumes"])
    configuration = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert f"root {Path(mounts['./error_pages']).parent};" in configuration
    assert f"ssl_certificate     {mounts['./tls']}/fullchain.pem;" in configuration
    assert (DEPLOY / "error_pages").is_dir()
    networks = {name: each.get("network_mode") for name, each in services.items()}
    assert networks.pop("nginx") is None
    assert set(networks.values()) == {"service:nginx"}
    published = {name for name, each in services.items() if "ports" in each}
    assert published == {"nginx"}

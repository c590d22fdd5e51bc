"""Policies from Git: reviewed, deployed by a renamed link, and each of two machines decides by its own folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker.app.application import create_app
from broker.app.readiness import list_gauges
from broker.demo.run.demo_folder import Setting
from tests.cli.test_policy_diff import remove_examples
from tests.plugins.deployment import Deployment, form, mark
from tests.plugins.policy_copies import copy_site

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.server
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run() -> Run:
    """Run a program beside the commands of this installation, without a configuration."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "GIT_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "Kirsten", f"GIT_{role}_EMAIL": "kirsten@library.example"}

    def run(*words: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [str(word) for word in words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def repository(setting: Setting, tmp_path: Path, run: Run) -> Path:
    """Return a Git repository with the students' policy, committed."""
    made = tmp_path / "repository"
    (made / "policies").mkdir(parents=True)
    text = (ROOT / "policies" / "student.yaml").read_text()
    (made / "policies" / "student.yaml").write_text(remove_examples(text))
    shutil.copy(ROOT / "policies" / "services.yaml", made / "policies")
    for name in ("attribute_maps", "metadata"):
        shutil.copytree(setting.folder / name, made / name)
    run("git", "-C", made, "init", "-q", "-b", "main")
    commit(run, made, "Begin")
    return made


def commit(run: Run, repository: Path, subject: str) -> None:
    """Commit everything in a repository."""
    run("git", "-C", repository, "add", "-A")
    run("git", "-C", repository, "commit", "-q", "-m", subject)


@pytest.fixture
def site(tmp_path: Path, run: Run, repository: Path) -> Path:
    """Return a site where the first commit is deployed."""
    deploy(run, repository, "main", tmp_path / "site")
    return tmp_path / "site"


def deploy(run: Run, repository: Path, revision: str, site: Path) -> None:
    """Run the deploy job."""
    run(ROOT / "deploy" / "policy-deploy.sh", repository, revision, site)


@pytest.fixture
def environment(site: Path) -> dict[str, str]:
    """Let the broker of the deployment go by the link that a deployment renames."""
    return {"BROKER_SITE": str(site / "current"), "BROKER_STATE": str(site / "state")}


def loads(deployment: Deployment) -> list[tuple[str | None, str]]:
    """Return the digests, before and after, of the audit entries that policies were loaded."""
    lines = [line for path in deployment.parts.config.audit_folder.glob("*") for line in _lines(path)]
    return [(line.get("base"), line["digest"]) for line in lines if line.get("event") == "policies_loaded"]


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else []


def test_a_merge_request_is_reviewed_and_deployed(
    deployment: Deployment, run: Run, repository: Path, site: Path
) -> None:
    """CI prints what gets wider; the broker follows the renamed link, and the audit log has each digest once."""
    review = ROOT / "deploy" / "policy-review.sh"
    policies = deployment.parts.policies
    first = policies.current.digest
    path = repository / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("displayName, mail]", "mail, sn: {why: {en: x, da: y}}]", 1))
    commit(run, repository, "Print the surname only")
    newest = run("git", "-C", repository, "rev-parse", "main").stdout.strip()
    done = run("env", "-C", repository, review, "HEAD~1")
    assert "WIDER     Student at Aarhus University: myprint also receives sn." in done.stdout
    assert policies.refresh(deployment.clock.now()).digest == first
    deploy(run, repository, "main", site)
    second = policies.refresh(deployment.clock.now()).digest
    assert (site / "current").resolve().name == newest
    assert f'"policy_set":"{second[:12]}"' in deployment.person().get("/readyz").get_data(as_text=True)
    deploy(run, repository, "HEAD~1", site)  # a rollback
    assert policies.refresh(deployment.clock.now()).digest == first
    assert loads(deployment) == [(None, first[:12]), (first[:12], second[:12]), (second[:12], first[:12])]


def test_a_merge_request_with_a_fault_is_refused(run: Run, repository: Path, site: Path) -> None:
    """By the review, and by the deploy job where nobody has looked: the link stays."""
    before = (site / "current").resolve()
    path = repository / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("precedence: 20", "precedense: 20"))
    commit(run, repository, "Misspell a key")
    done = run("env", "-C", repository, ROOT / "deploy" / "policy-review.sh", "HEAD~1", code=78)
    assert "student.yaml:" in done.stderr
    run(ROOT / "deploy" / "policy-deploy.sh", repository, "main", site, code=78)
    assert (site / "current").resolve() == before


@pytest.fixture
def two_brokers(deployment: Deployment, redis_url: str, tmp_path: Path) -> list[Deployment]:
    """Give two machines over one Redis: one with the shipped policies, one that lets in people from ten years on."""
    found = []
    for name in ("a", "b"):
        site = copy_site(deployment.setting, tmp_path / name)
        if name == "b":
            path = site / "policies" / "private.yaml"
            path.write_text(remove_examples(path.read_text().replace("age: 18", "age: 10")))
        config = deployment.parts.config
        changed = config.model_copy(
            update={
                "site": site,
                "state": tmp_path / name / "state",
                "store": config.store.model_copy(update={"url": redis_url}),
            }
        )
        found.append(replace(deployment, app=create_app(changed)))
        found[-1].be_patient()
    return found


def test_two_machines_with_different_folders_share_one_store(two_brokers: list[Deployment]) -> None:
    """Each machine uses its own policies, even for a login begun at the other. Differing metrics raise an alert."""
    one, other = two_brokers
    digests = [each.parts.policies.current.digest[:12] for each in two_brokers]
    assert digests[0] != digests[1]
    for each, digest in zip(two_brokers, digests, strict=True):
        gauges = [gauge for gauge in list_gauges(each.parts) if gauge.name == "broker_policies_loaded"]
        assert [gauge.labels for gauge in gauges] == [(digest,)]
        assert loads(each) == [(None, digest)]
    assert mark(one.person().log_in("finn", "nemid")) == ("refuse", "too_young")
    assert mark(other.person().log_in("finn", "nemid"))[0] == "ask"
    browser = one.person()
    to_eid = browser.choose(browser.ask(), "nemid")
    browser.client, elsewhere = other.app.test_client(), browser.client
    browser.client._cookies = elsewhere._cookies
    browser.deployment = other
    arrived = browser.deliver(*other.answer(to_eid, "finn"))
    assert mark(browser.get(arrived.location))[0] == "ask"
    for each in two_brokers:
        page = each.person().log_in("asta")
        assert mark(page)[0] == "ask"
        assert form(page)

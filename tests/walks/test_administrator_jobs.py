"""Jobs of an identity administrator, done by docs/policies.md alone and verified by a real login."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from broker.cli.main import broker
from broker.core.policy.expiry import Expiry
from broker.demo.koha.database.administration import Category
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import Ports, Setting, write
from broker.demo.upstreams import assertion_writer
from tests.plugins.deployment import Clock, Deployment, mark, run_deployment
from tests.plugins.policies_document import JOBS, do
from tests.plugins.policy_copies import copy_site

MOST_LINES: Final = 25
WIDTH: Final = 120
EPPN: Final = "eduPersonPrincipalName"
ENTITLEMENT: Final = "eduPersonEntitlement"
ENTITLEMENT_OID: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.7"
TERMS: Final = "urn:mace:dir:entitlement:common-lib-terms"
pytestmark = [pytest.mark.slow, pytest.mark.long("analyses the policies of each job")]


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Write a demo's folder where the second university may assert CPR numbers."""
    made = write(tmp_path_factory.mktemp("jobs") / "demo", Ports(48080), datetime.now(UTC))
    text = made.config.read_text()
    assert 'scopes = ["ku.dk"],' in text
    made.config.write_text(text.replace('scopes = ["ku.dk"],', 'scopes = ["ku.dk"], may_assert = ["cpr"],'))
    return made


@pytest.fixture
def policies(setting: Setting, tmp_path: Path) -> Path:
    """Return a copy of the shipped policies, to edit."""
    return copy_site(setting, tmp_path) / "policies"


@pytest.fixture
def environment(policies: Path) -> dict[str, str]:
    """Let the broker of the deployment decide by the copy."""
    return {"BROKER_SITE": str(policies.parent)}


def follow_document(*anchors: str) -> Callable[[Path], None]:
    """Return the edit of a draft that sections of the document describe."""

    def edit(draft: Path) -> None:
        for anchor in anchors:
            for block in JOBS[anchor]:
                do(draft, block)

    return edit


def retire_e_resources(draft: Path) -> None:
    """Delete the lines of a service, and the examples of it."""
    for path in draft.glob("*.yaml"):
        head, examples, tail = path.read_text().partition("\nexamples:\n")
        head = re.sub(r"^  e-resources: .*\n", "", head, flags=re.MULTILINE)
        head = re.sub(r"^e-resources:\n(?:  .*\n)*", "", head, flags=re.MULTILINE)
        kept = [each for each in re.split(r"^(?=  - )", tail, flags=re.MULTILINE) if "service: e-resources" not in each]
        path.write_text(head + examples + "".join(kept))


def rename_hospital_category(draft: Path) -> None:
    """Make another category of hospital employees, as the document renames that of students."""
    path = draft / "hospital.yaml"
    text = path.read_text().replace("borrower_category: [HOSPITAL]", "borrower_category: [NURSE, HOSPITAL]")
    text = text.replace("category: HOSPITAL", "category: NURSE").replace("upgrades: [", "upgrades: [HOSPITAL, ")
    path.write_text(text)


def sign_up(deployment: Deployment, name: str) -> dict[str, Any]:
    """Return the account that a login at My loans makes."""
    person = deployment.person()
    deployment.landing(person.agree(person.log_in(name, persona(name).upstream)))
    return dict(deployment.koha.patrons.rows()[-1])


def land(deployment: Deployment, name: str, service: str) -> Mapping[str, tuple[str, ...]]:
    """Return the attributes that a service receives in a login."""
    person = deployment.person()
    page = person.log_in(name, persona(name).upstream, service)
    return deployment.landing(person.agree(page)).attributes


def verify_visitor(deployment: Deployment) -> None:
    """Sign up a person with the entitlement."""
    bo = persona("bo")
    more = {"eduPersonScopedAffiliation": ("member@au.dk",), ENTITLEMENT: ("urn:example:visitor",)}
    visitor = replace(bo, attributes={**bo.attributes, **more})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(assertion_writer.NAMES, ENTITLEMENT, ENTITLEMENT_OID)
        patch.setattr("tests.plugins.deployment.persona", lambda _: visitor)
        assert sign_up(deployment, "bo")["category_id"] == "VISITOR"


def verify_age(deployment: Deployment) -> None:
    """Show that a person of fifteen is asked, not refused."""
    page = deployment.person().log_in("finn", "nemid")
    assert mark(page)[0] == "ask"


def verify_eppn(deployment: Deployment) -> None:
    """Show that MyPrint receives the user name."""
    sign_up(deployment, "asta")
    assert EPPN in land(deployment, "asta", "myprint")


def verify_constant(deployment: Deployment) -> None:
    """Show that the service receives the constant."""
    assert land(deployment, "asta", "e-resources")[ENTITLEMENT] == (TERMS,)


def verify_notice(deployment: Deployment) -> None:
    """Show that the person is informed, not asked."""
    page = deployment.person().log_in("asta")
    assert "Fortsæt til" in page.get_data(as_text=True)


def verify_exception(deployment: Deployment) -> None:
    """Show the category and the expiry of a student of Copenhagen."""
    row = sign_up(deployment, "mia")
    until = Expiry(day_of_year=(7, 31)).find_date(deployment.clock.now().date())
    assert (row["category_id"], row["expiry_date"]) == ("STUDENT-KU", until.isoformat())


def verify_expiry(deployment: Deployment) -> None:
    """Show the new expiry of a student and an employee."""
    until = Expiry(day_of_year=(8, 31)).find_date(deployment.clock.now().date())
    assert sign_up(deployment, "asta")["expiry_date"] == until.isoformat()
    left = date.fromisoformat(sign_up(deployment, "bo")["expiry_date"]) - deployment.clock.now().date()
    assert left > timedelta(days=1000)


def verify_retired(deployment: Deployment) -> None:
    """Show that nobody is let in."""
    assert mark(deployment.person().log_in("asta", service="e-resources")) == ("refuse", "no_policy_for_service")


def verify_hospital(deployment: Deployment) -> None:
    """Show the category of a new account."""
    assert sign_up(deployment, "dan")["category_id"] == "NURSE"


# The job, the edit of the draft, and the login that shows its result.
DONE: Final[Mapping[str, tuple[Callable[[Path], None], Callable[[Deployment], None]]]] = {
    "a new affiliation": (follow_document("add-affiliation"), verify_visitor),
    "a lower age": (follow_document("requirement"), verify_age),
    "a service receives the user name": (follow_document("release-attribute"), verify_eppn),
    "a service receives a stated constant": (follow_document("state-constant"), verify_constant),
    "a notice in place of consent": (follow_document("legal-basis"), verify_notice),
    "another category for one institution": (follow_document("exception"), verify_exception),
    "another expiry": (follow_document("expiry"), verify_expiry),
    "a service is retired": (retire_e_resources, verify_retired),
    "another category for the hospital": (rename_hospital_category, verify_hospital),
}

# Jobs that edit the same kind of line as another one.
REPEATED: Final = ("a lower age", "a service receives a stated constant", "another category for the hospital")


def block_university(folder: Path) -> None:
    """Remove the institution, also as that of the staff."""
    path = folder / "broker.toml"
    text = re.sub(r'\n .*scopes = \["au\.dk"\].*', "", path.read_text())
    path.write_text(text.replace("https://idp.au.example", "https://idp.ku.example"))


def read_by_new_map(folder: Path) -> None:
    """Return the upstream a new map, which reads no CPR number."""
    text = (folder / "attribute_maps/wayf.yaml").read_text()
    (folder / "attribute_maps/idp.yaml").write_text(re.sub(r"(?m)^ .*: cpr\n", "", text))
    path = folder / "broker.toml"
    path.write_text(path.read_text().replace('attribute_map = "wayf"', 'attribute_map = "idp"', 1))


@pytest.mark.parametrize(("edit", "reason"), [(block_university, "message_refused"), (read_by_new_map, "cpr_required")])
def test_a_job_in_the_configuration_is_done(
    setting: Setting, tmp_path: Path, clock: Clock, edit: Callable[[Path], None], reason: str
) -> None:
    """Two configuration folders are compared in few lines, and the broker of the new one goes by it."""
    after = Path(shutil.copytree(setting.folder, tmp_path / "after"))
    edit(after)
    result = CliRunner().invoke(broker, ("policy", "diff", str(setting.folder), str(after)), prog_name="broker")
    assert result.exit_code == 3, result.output
    lines = result.stdout.splitlines()
    assert (len(lines) <= MOST_LINES, max(map(len, lines)) <= WIDTH) == (True, True)
    with run_deployment(replace(setting, folder=after), tmp_path, clock, {}) as deployment:
        person = deployment.person()
        arrived = person.deliver_answer(person.choose(person.ask()), "asta")
        page = person.get(arrived.location) if arrived.location else arrived
        assert mark(page)[1] == reason


@pytest.mark.parametrize(
    "job", [pytest.param(each, marks=pytest.mark.full if each in REPEATED else ()) for each in DONE]
)
def test_a_job_is_done_by_the_document(
    deployment: Deployment, policies: Path, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    """The draft is checked and compared in few lines, put in place, and the next login goes by it."""
    edit, verify = DONE[job]
    administration = deployment.koha.patrons.administration
    more = {name: Category(24, 4, require_strong_password=False) for name in ("VISITOR", "STUDENT-KU", "NURSE")}
    deployment.koha.patrons.administration = replace(administration, categories={**administration.categories, **more})
    draft = Path(shutil.copytree(policies, policies.with_name("draft")))
    edit(draft)
    monkeypatch.setenv("BROKER_CONFIG", str(deployment.setting.config))
    monkeypatch.setenv("BROKER_LIBRARY__URL", deployment.parts.config.library.url)
    lines: list[str] = []
    # The analysis of a draft: tests/cli/test_documented_policy_commands.py.
    for words, code in ((("check", str(draft), "--no-analysis"), 0), (("diff", str(policies), str(draft)), 3)):
        result = CliRunner().invoke(broker, ("policy", *words), prog_name="broker")
        assert result.exit_code == code, result.output
        lines += result.stdout.splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= WIDTH
    for path in draft.iterdir():
        shutil.copy(path, policies)
    deployment.parts.policies.refresh(deployment.clock.now())
    assert deployment.parts.policies.file_faults == ()
    verify(deployment)

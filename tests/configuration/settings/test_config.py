"""The configuration: what a good broker.toml becomes, and every fault of a bad one."""

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from broker.configuration import durable_files
from broker.configuration.settings.config import Config, keys, load
from broker.core.entities import Assurance, Controller, Institution, Text
from broker.core.errors import ConfigurationFaults
from broker.demo.run.demo_folder import Setting
from tests.configuration.settings.settings_reference import DOCUMENT, ROW, write_defaults

GOOD = """
base_url = "https://login.library.example/broker/"
shared_origin = true

[upstreams.wayf]
profile = "wayf"
entity_id = "https://hub.example"
label = {en = "University", da = "Universitet"}
institutions = [
    {entity_id = "https://au", aliases = ["au"], scopes = ["AU.dk"], may_assert = ["cpr"], max_assurance = "low"},
]
only = ["au"]

[upstreams.national-eid]
profile = "oiosaml3"
entity_id = "https://eid.example"
label = {en = "National eID", da = "Nationalt eID"}

[services.my-loans]
entity_id = "https://loans.example"
label = {en = "My loans", da = "Mine lån"}
controller = {en = "The Library", da = "Biblioteket", contact = "dpo@library.example"}

[library]
system = "koha"
url = "https://koha.example"
client_secret = "correct horse battery staple"

[mail]
url = "smtp://127.0.0.1:25"
sender = "library@library.example"
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a broker.toml and return its path."""

    def write_file(text: str) -> Path:
        path = tmp_path / "broker.toml"
        path.write_text(text)
        return path

    return write_file


def faults(path: Path | None, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return each fault as one line."""
    with pytest.raises(ConfigurationFaults) as caught:
        load(path, environ or {})
    return [str(each) for each in caught.value.faults]


def test_a_good_file_becomes_a_config(write: Write, tmp_path: Path) -> None:
    """Defaults stand beside the file, and the trailing slash of base_url is gone."""
    config = load(write(GOOD), {})
    assert config.base_url == "https://login.library.example/broker"
    assert config.idp_entity_id == "https://login.library.example/broker/saml/idp/metadata"
    assert (config.keys, config.policies) == (tmp_path / "keys", tmp_path / "policies")
    assert config.store.url == f"sqlite:{tmp_path}/state/broker.db"
    assert config.audit_folder == tmp_path / "state" / "audit"
    assert (config.library.mode, config.language) == ("live", "da")
    assert config.uses_https


def test_the_library_account_is_offered_where_a_service_says_so_only(write: Write) -> None:
    """A library that adds it does not open every service to who guesses a PIN of four digits."""
    local = '[upstreams.pin]\nprofile = "library"\nlabel = {en = "Library account", da = "Lånerkonto"}\n'
    text = GOOD.replace("[services.my-loans]", f"{local}\n[services.my-loans]")
    assert load(write(text), {}).core_services()["my-loans"].methods == ("wayf", "national-eid")
    named = text.replace("controller =", 'methods = ["pin", "wayf"]\ncontroller =')
    assert load(write(named), {}).core_services()["my-loans"].methods == ("pin", "wayf")


def test_tables_become_the_parties_of_the_core(write: Write) -> None:
    """An upstream that is no hub is its own institution; a service offers every upstream unless it names some."""
    config = load(write(GOOD), {})
    wayf, eid = config.core_upstreams()["wayf"], config.core_upstreams()["national-eid"]
    au = Institution("https://au", ("au",), ("au.dk",), frozenset({"cpr"}), Assurance.LOW)
    assert (wayf.institutions, wayf.only, wayf.attribute_map, wayf.encryption) == ((au,), ("au",), "wayf", "gcm")
    assert eid.institutions == (Institution("https://eid.example", national_eid=True),)
    assert eid.sp_entity_id == "https://login.library.example/broker/saml/sp/national-eid/metadata"
    loans = config.core_services()["my-loans"]
    assert loans.methods == ("wayf", "national-eid")
    assert loans.controller == Controller(Text("The Library", "Biblioteket"), "dpo@library.example")


def test_entity_ids_can_be_set_per_role(write: Write) -> None:
    """A library that replaces its old broker keeps its entityIDs, and with them every targeted id."""
    text = GOOD.replace("only =", 'sp_entity_id = "https://old.example/sp"\nonly =')
    config = load(write(text + '[idp]\nentity_id = "https://old.example/idp"\n'), {})
    assert config.idp_entity_id == "https://old.example/idp"
    assert config.core_upstreams()["wayf"].sp_entity_id == "https://old.example/sp"


@pytest.mark.parametrize(
    ("environ", "read", "expected"),
    [
        ({"BROKER_LANGUAGE": "en"}, lambda c: c.language, "en"),
        ({"BROKER_SERVE__WORKERS": "7"}, lambda c: c.serve.workers, 7),
        (
            {"BROKER_UPSTREAMS__NATIONAL_EID__ENCRYPTION": "cbc"},
            lambda c: c.core_upstreams()["national-eid"].encryption,
            "cbc",
        ),
        (
            {"BROKER_SERVICES__MY_LOANS__METHODS": '["wayf"]'},
            lambda c: c.core_services()["my-loans"].methods,
            ("wayf",),
        ),
        ({"BROKER_LIBRARY__CLIENT_SECRET": "1234567890123456"}, lambda c: c.library.settings["client_secret"], None),
        ({"BROKER_LIBRARY__MODE": "frozen"}, lambda c: c.library.mode, "frozen"),
        ({"BROKER_KEYS": "/srv/keys"}, lambda c: str(c.keys), "/srv/keys"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_the_environment_overrules_the_file(
    write: Write, environ: dict[str, str], read: Callable[[Config], object], expected: object
) -> None:
    """Every key is BROKER_SECTION__KEY too, "-" in names written "_"; a secret of digits stays text."""
    value = next(iter(environ.values())) if expected is None else expected
    assert read(load(write(GOOD), environ)) == value


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_the_environment_can_stand_alone() -> None:
    """A container needs no file."""
    flat = tomllib.loads(GOOD)
    environ = {"BROKER_BASE_URL": flat["base_url"], "BROKER_SHARED_ORIGIN": "true"}
    for section in ("library", "mail"):
        environ |= {f"BROKER_{section}__{key}".upper(): _json(value) for key, value in flat[section].items()}
    for key, value in flat["upstreams"]["wayf"].items():
        environ[f"BROKER_UPSTREAMS__WAYF__{key}".upper()] = _json(value)
    assert load(None, environ).core_upstreams()["wayf"].idp_list() == ("au",)


def test_a_secret_comes_from_its_own_file(write: Write, tmp_path: Path) -> None:
    """..._FILE names a file with the secret, its last line break not part of it."""
    (tmp_path / "secret").write_text("a secret of its own file\n")
    config = load(write(GOOD), {"BROKER_LIBRARY__CLIENT_SECRET_FILE": "secret"})
    assert config.library.connector_settings() == {
        "url": "https://koha.example",
        "connections": 2,
        "client_secret": "a secret of its own file",
    }


@pytest.mark.parametrize(
    ("name", "size", "fault"),
    [
        ("logo.svg", 30_001, "pictures/logo.svg: is larger than 30 kB"),
        ("logo.gif", 10, "pictures/logo.gif: is no picture of our pages (names are logo, favicon, service-my-loans"),
        ("service-loans.png", 10, "pictures/service-loans.png: is no picture of our pages"),
    ],
)
def test_a_picture_has_a_fault(write: Write, tmp_path: Path, name: str, size: int, fault: str) -> None:
    """A misspelt name and a heavy file are errors at once; a good picture is found."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "favicon.svg").write_bytes(b"x" * 30_000)
    path = write(GOOD)
    assert load(path, {}).pictures() == {"favicon": folder / "favicon.svg"}
    (folder / name).write_bytes(b"x" * size)
    (found,) = faults(path)
    assert found.startswith(fault)


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    """Where the broker is started from changes nothing, for the folders, the store and the connector's files."""
    text = GOOD.replace("[library]", '[store]\nurl = "sqlite:state/a.db"\n[library]\nca_file = "ca.pem"')
    config = load(write('site = "current"' + text), {"BROKER_KEYS": "secrets"})
    assert (config.policies, config.metadata) == (tmp_path / "current/policies", tmp_path / "current/metadata")
    assert config.keys == tmp_path / "secrets"
    assert config.store.url == f"sqlite:{tmp_path}/state/a.db"
    assert config.library.settings["ca_file"] == str(tmp_path / "ca.pem")


def test_nothing_shows_a_secret(write: Write) -> None:
    """Neither the repr of a Config nor the text of a fault holds a password, wherever it was written."""
    mail = 'username = "broker"\npassword = "hunter2 and then some"\n'
    text = GOOD.replace("smtp://127.0.0.1:25", "smtp+starttls://u:hunter2-in-url@mail.example") + mail
    assert "hunter2" not in "\n".join(faults(write(text)))
    config = load(write(GOOD + mail), {"BROKER_STORE__URL": "rediss://:hunter2-redis@redis.example"})
    assert "hunter2" not in repr(config)
    assert "correct horse" not in repr(config)
    bad = text.replace("smtp+starttls://u", "smpt://u").replace("correct horse battery staple", "hunter2 short")
    assert "hunter2" not in "\n".join(faults(write(bad), {"BROKER_STORE__URL": "redis://:hunter2@redis.example"}))


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("smtp://127.0.0.1:25", False),
        ("smtp://[::1]", False),
        ("smtp://localhost", False),
        ("smtp://mail.example.org", True),
        ("smtp://192.0.2.1", True),
        ("smtps://mail.example.org", False),
        ("smtp+starttls://mail.example.org", False),
    ],
)
def test_mail_in_clear_text_to_another_machine_is_refused(write: Write, url: str, *, refused: bool) -> None:
    """A PIN does not cross a network unencrypted, unless the administrator accepts it in so many words."""
    path = write(GOOD.replace("smtp://127.0.0.1:25", url))
    if refused:
        (fault,) = faults(path)
        assert fault.startswith(f"{path}:mail.url: is smtp:// to another machine")
        assert "or set mail.accept_plain = true" in fault
    accepted = {} if not refused else {"BROKER_MAIL__ACCEPT_PLAIN": "true"}
    assert load(path, accepted).mail.url == url


def test_a_secret_file_can_be_named_in_the_file_too(write: Write, tmp_path: Path) -> None:
    """So that a command in a shell finds it; a variable, as a unit sets it, overrules it unread."""
    text = GOOD.replace('client_secret = "correct horse battery staple"', 'client_secret_file = "koha"')
    path = write(text)
    assert "library.client_secret_file: names a file that cannot be read" in faults(path)[0]
    (tmp_path / "credential").write_text("the secret of the unit\n")
    credential = {"BROKER_LIBRARY__CLIENT_SECRET_FILE": "credential"}
    assert load(path, credential).library.settings == {"client_secret": "the secret of the unit"}
    (tmp_path / "koha").write_text("a secret of its own file\n")
    assert load(path, {}).library.settings == {"client_secret": "a secret of its own file"}
    (tmp_path / "koha").write_text("short\n")
    assert faults(path)[0].startswith(f"{tmp_path}/koha: is shorter than 16 characters")


def test_a_placeholder_is_reported_once(write: Write) -> None:
    """The placeholder has no second fault because of its type or of another key."""
    text = GOOD.replace("https://loans.example", "FILL IN: its entityID").replace(
        "https://koha.example", "FILL IN: a place"
    )
    path = write(text)
    assert faults(path) == [
        f"{path}:services.my-loans.entity_id: is to be filled in (its entityID)",
        f"{path}:library.url: is to be filled in (a place)",
    ]


@pytest.mark.parametrize(
    "written", ["FILL IN: the secret\nhunter2 hunter2 hunter2\n", "FILL IN: hunter2 hunter2 hunter2"]
)
def test_a_secret_written_beside_what_is_to_be_filled_in_is_not_quoted(
    write: Write, tmp_path: Path, written: str
) -> None:
    """The message goes to a terminal and a journal, also if the words "FILL IN" were left before the secret."""
    path = write(GOOD.replace('client_secret = "correct horse battery staple"', 'client_secret_file = "koha"'))
    (tmp_path / "koha").write_text(written)
    assert faults(path) == [f"{tmp_path}/koha: is to be filled in (with the secret, and nothing else)"]


BAD = [
    ('base_url = "https://login.library.example/broker/"', "", "broker.toml:base_url: is missing"),
    ("shared_origin = true", "", "base_url: is below a path"),
    ("https://login.library.example/broker/", "http://login.library.example", "base_url: is http"),
    ("https://login.library.example/broker/", "login.library.example", "is no http or https address"),
    ("https://login.library.example/broker/", "https://x.example/?a=b", "base_url: has a query"),
    ("https://login.library.example/broker/", "https://u:p@x.example/", "base_url: has a fragment or user name"),
    ('profile = "wayf"', 'profile = "wyf"', "upstreams.wayf.profile: input should be 'wayf'"),
    ('profile = "wayf"', 'profil = "wayf"', "upstreams.wayf.profil: is no key of the configuration (did you mean"),
    ("[mail]", "[mial]", "broker.toml:mial: is no key of the configuration (did you mean mail?)"),
    (
        "aliases",
        "alias",
        "upstreams.wayf.institutions[0].alias: is no key of the configuration (did you mean aliases?)",
    ),
    (
        "[upstreams.wayf]",
        'only = ["low"]\n[upstreams.wayf]',
        "broker.toml:only: is no key of the configuration (did you mean",
    ),
    ("[upstreams.wayf]", "[upstreams.Wayf_1]", "upstreams.Wayf_1: is no name"),
    ('may_assert = ["cpr"]', 'may_assert = ["eppn"]', "institutions[0].may_assert"),
    ('"oiosaml3"', '"wayf"', "upstreams.national-eid: profile wayf without institutions"),
    ('only = ["au"]', 'only = ["ku"]', "upstreams.wayf.only[0]: no institution ku"),
    (
        'label = {en = "National eID", da = "Nationalt eID"}',
        'label = {en = "National eID", da = "Nationalt eID"}\ninstitutions = [{entity_id = "https://eid.example", aliases = ["au"]}]',
        "upstreams.national-eid.institutions[0]: au names two institutions",
    ),
    (
        'label = {en = "National eID", da = "Nationalt eID"}',
        'label = {en = "National eID", da = "Nationalt eID"}\ninstitutions = [{entity_id = "https://other.example"}]',
        "upstreams.national-eid.institutions: an upstream that is no hub is its own institution",
    ),
    ('aliases = ["au"]', 'aliases = ["https://eid.example"]', "national-eid.entity_id: https://eid.example names two"),
    ('{entity_id = "https://au"', '{entity_id = "https://eid.example"', "https://eid.example names two institutions"),
    (
        'entity_id = "https://eid.example"',
        'entity_id = "https://au"',
        "upstreams.national-eid.entity_id: https://au names two institutions",
    ),
    ('"oiosaml3"', '"saml"', "upstreams.national-eid.attribute_map: is missing"),
    ('"oiosaml3"', '"oiosaml3"\nencryption = "none"', "upstreams.national-eid.encryption: leaves out the key"),
    ('max_assurance = "low"', 'assurance = "substantial"', "institutions[0].assurance: input should be 'low'"),
    ('aliases = ["au"]', 'aliases = ["au", "nemlog-in.dk"], assurance = "low"', "is stated for the national eID"),
    (
        'label = {en = "National eID", da = "Nationalt eID"}',
        'label = {en = "National eID", da = "Nationalt eID"}\ninstitutions = [{entity_id = "https://eid.example", assurance = "low"}]',
        "institutions[0].assurance: is stated for the national eID",
    ),
    ("controller =", 'methods = ["wayf", "nemid"]\ncontroller =', "services.my-loans.methods[1]: no upstream nemid"),
    (
        "[library]",
        '[services.b]\nentity_id = "https://loans.example"\nlabel = {en = "B", da = "B"}\n[library]',
        "services.b.entity_id: https://loans.example is the entity_id of two services",
    ),
    ("correct horse battery staple", "changeme", "library.client_secret: is empty or a default"),
    ("correct horse battery staple", "", "library.client_secret: is empty or a default"),
    ("correct horse battery staple", "Tr0ub4dor&3", "library.client_secret: is shorter than 16"),
    ("smtp://127.0.0.1:25", "127.0.0.1:25", "mail.url: is no mail server address"),
    ("smtp://127.0.0.1:25", "smtp://127.0.0.1:secret", "mail.url: is no mail server address"),
    ("smtp://127.0.0.1:25", "smtp://user:secret@127.0.0.1", "mail.url: is no mail server address"),
    ("[mail]", "[mail]\nusername = 'u'", "broker.toml:mail: username and password are given together"),
    ("[library]", "[store]\nurl = 'postgres://x'\n[library]", "store.url: begins with none of sqlite:"),
    ("[library]", "[store]\nurl = 'redis://redis.example'\n[library]", "store.url: reaches Redis on another machine"),
    ("[library]", "[store]\nurl = 'rediss://redis.example'\n[library]", "store.url: reaches Redis on another machine"),
    ("[library]", "[store]\nurl = 'sqlite:keys/broker.db'\n[library]", "store.url: is in the folder of the keys"),
    (
        "shared_origin = true",
        "shared_origin = true\nstate = 'keys/state'",
        "broker.toml:state: is in the folder of the",
    ),
    (
        "[library]",
        "[admin]\ninstitution = 'https://a'\nroles = {}\n[library]",
        "admin.institution: no institution https://a (did you mean 'https://au'?)",
    ),
    (
        'only = ["au"]',
        'only = ["https://ku"]\n[admin]\ninstitution = "https://au"\nroles = {}',
        "admin.institution: https://au is not in upstreams.wayf.only",
    ),
    (
        "[library]",
        ("[admin]\ninstitution = 'https://au'\nroles = {identity-admn = ['a@b.dk']}\n[library]"),
        "admin.roles.identity-admn: input should be 'identity-admin' or 'service-desk'",
    ),
    *(
        (
            "[library]",
            f"[admin]\ninstitution = 'https://au'\nroles = {{service-desk = ['{eppn}']}}\n[library]",
            "admin.roles.service-desk[0]: is no eppn",
        )
        for eppn in ("kirsten", "a@b@c.dk", "kirsten@AU.dk", "kirsten@au.dk ", "1403044004@au.dk")
    ),
    ("[mail]", "[serve]\nthreads = 0\n[mail]", "serve.threads: input should be greater"),
    ("[mail]", "[serve]\nbind = 'host:port'\n[mail]", "serve.bind: is no address: write HOST:PORT"),
    ("[mail]", "[mail", "is not TOML"),
]


@pytest.mark.parametrize(("good", "bad", "fault"), BAD)
def test_a_fault_has_a_place_and_a_mend(write: Write, good: str, bad: str, fault: str) -> None:
    """Each fault says where it stands, what is wrong, and how to fix it."""
    assert good in GOOD
    found = [each for each in faults(write(GOOD.replace(good, bad, 1))) if fault in each]
    assert len(found) == 1, found
    assert found[0].endswith(")")


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"BROKER_LANGUAGE": "da", "BROKER_Language": "en"}, "BROKER_Language: gives the same key as BROKER_LANGUAGE"),
        ({"BROKER_LANGUAG": "da"}, "BROKER_LANGUAG: is no key of the configuration (did you mean language?)"),
        ({"BROKER_SERVE__WORKERS": "many"}, "BROKER_SERVE__WORKERS: input should be a valid integer"),
        ({"BROKER_UPSTREAMS__WAYF__ONLY": "au"}, "BROKER_UPSTREAMS__WAYF__ONLY: must be a list (in a variable JSON)"),
        ({"BROKER_MAIL__PASSWORD_FILE": "gone"}, "BROKER_MAIL__PASSWORD_FILE: names a file that cannot be read"),
        ({"BROKER_MAIL__URL": "smtp://a", "BROKER_MAIL__URL_FILE": "broker.toml"}, "gives the same key as"),
        ({"BROKER_LIBRARY__CLIENT_SECRET": "secret"}, "BROKER_LIBRARY__CLIENT_SECRET: is empty or a default"),
        ({"BROKER_CONTACT__NAME": "Demo\nlibrary"}, "BROKER_CONTACT__NAME: holds a line break"),
        ({"BROKER_CONTACT__PHONE": "1\u2028"}, "BROKER_CONTACT__PHONE: holds a line break"),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(write: Write, environ: dict[str, str], fault: str) -> None:
    """A value of the environment is corrected there."""
    assert [each for each in faults(write(GOOD), environ) if fault in each]


def test_all_faults_are_reported_at_once(write: Write) -> None:
    """Faults of shape, of secrets and of the environment come in one answer."""
    text = GOOD.replace("https://login", "http://login").replace("correct horse battery staple", "changeme")
    found = "\n".join(faults(write(text.replace("[mail]", "[mial]")), {"BROKER_SERVE__WORKERS": "many"}))
    for each in ("base_url", "mial", "client_secret", "BROKER_SERVE__WORKERS"):
        assert each in found
    assert "mail: is missing" not in found


MFA = "https://refeds.org/profile/mfa"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
MEETS = [
    ("wayf", MFA, PASSWORD, PASSWORD),
    ("wayf", MFA, "https://idp.example/two-factors", None),
    ("pin", "http://eidas.europa.eu/LoA/low", "https://pin.example", "a PIN"),
]


@pytest.mark.parametrize(("upstream", "wanted", "given", "less"), MEETS)
def test_a_class_is_not_met_by_a_weaker_one(
    write: Write, upstream: str, wanted: str, given: str, less: str | None
) -> None:
    """A PIN, a password and a low level meet neither a second factor nor a higher one, whatever is configured."""
    pin = '[upstreams.pin]\nprofile = "library"\nlabel = {en = "PIN", da = "PIN"}\n'
    text = GOOD.replace("[upstreams.wayf]", f"{pin}[upstreams.wayf]")
    line = f'authn_contexts = {{"{wanted}" = ["https://strong.example", "{given}"]}}\n'
    path = write(text.replace(f"[upstreams.{upstream}]\n", f"[upstreams.{upstream}]\n{line}"))
    if less is None:
        assert load(path, {}).upstreams[upstream].authn_contexts[wanted][1] == given
        return
    (fault,) = faults(path)
    assert f"upstreams.{upstream}.authn_contexts.{wanted}: {less} is not as good as that (leave it out" in fault


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:8080", "http://library.localhost/broker"])
def test_http_is_accepted_on_this_machine_only(write: Write, url: str) -> None:
    """A demo needs no certificate; its short secrets are no fault there, the obvious ones still are."""
    text = GOOD.replace("https://login.library.example/broker/", url).replace("correct horse battery staple", "s3cr-t")
    assert not load(write(text), {}).uses_https
    assert "is empty or a default" in faults(write(text.replace("s3cr-t", "Secret")))[0]


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """The path that was looked at is named."""
    assert faults(tmp_path / "gone.toml") == [
        f"{tmp_path}/gone.toml: cannot be read: No such file or directory (name another file in BROKER_CONFIG)"
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_key_files_that_others_may_open_are_refused(write: Write, tmp_path: Path, mode: int) -> None:
    """A key that the group or anyone can read is no longer a key."""
    (tmp_path / "keys").mkdir(mode=0o700)
    file = tmp_path / "keys" / "index.key"
    file.write_bytes(os.urandom(32))
    file.chmod(mode)
    assert faults(write(GOOD)) == [f"{file}: is open to its group or others (chmod go= {file})"]


def test_every_key_is_documented() -> None:
    """docs/configuration.md has a row about each key, with the administrator who sets it and the default.

    A text in two languages is one key. A table has a section. ``python -m tests.configuration.settings.settings_reference`` writes
    the defaults.
    """
    text = DOCUMENT.read_text(encoding="utf-8")
    described = "\n".join(line for line in text.splitlines() if ROW.match(line))
    single = {each.removesuffix(".en").removesuffix(".da") for each in keys()}
    tables = {each for each in single if any(other.startswith(f"{each}.") for other in single)}
    assert [each for each in single - tables if f"`{each}`" not in described] == []
    assert write_defaults(text) == text


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_state_folder_that_others_may_write_in_is_refused(tmp_path: Path, mode: int) -> None:
    """The fault names the folder, whose files others could replace, and the command that helps."""
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigurationFaults) as found:
        durable_files.make_state(folder)
    assert f"{folder} is open for others to write (chmod go-w {folder})" in str(found.value)


@pytest.mark.parametrize("written", ["25h", "0h", "90", "2 days", "an hour", ""])
def test_a_time_that_is_none_is_a_fault(setting: Setting, written: str) -> None:
    """So is one that is longer than a day: nobody would see a correction of the desk's."""
    with pytest.raises(ConfigurationFaults, match="TRUST_FOR: must be a"):
        load(setting.config, {"BROKER_LIBRARY__TRUST_FOR": written})


FEED = '[feeds.{name}]\nurl = "https://{name}.example/feed.xml"\npins = ["{name}.pem"]\nspeaks_for = {kinds}\n'


@pytest.mark.attack(33)
@pytest.mark.parametrize(
    ("kind", "second", "named", "fault"),
    [
        ("upstreams", "institutions", None, None),
        ("upstreams", "services", None, None),
        ("upstreams", "upstreams", None, 'feeds a and b both speak for upstreams (name the one: feed = "a")'),
        ("institutions", "institutions", None, "feeds a and b both speak for institutions"),
        ("upstreams", "upstreams", '"b"', None),
        ("upstreams", "upstreams", '["a", "b"]', "feeds a and b both speak for upstreams"),
        ("upstreams", "upstreams", '"c"', "no feed c (feeds are a, b)"),
        ("services", "services", None, "feeds a and b both speak for services"),
        ("services", "services", '"b"', None),
        ("services", "upstreams", None, None),
        ("services", "services", '"c"', "no feed c"),
    ],
)
def test_one_feed_speaks_for_a_party(
    write: Write, kind: str, second: str, named: str | None, fault: str | None
) -> None:
    """A second feed could give a party another key or ACS if the first loses it. The party names its feed."""
    both = FEED.format(name="a", kinds=[kind]) + FEED.format(name="b", kinds=[second])
    tables = ["services.my-loans"] if kind == "services" else ["upstreams.wayf", "upstreams.national-eid"]
    text = GOOD.replace("[upstreams.wayf]", f"{both}[upstreams.wayf]", 1)
    if named is not None:
        for table in tables:
            text = text.replace(f"[{table}]\n", f"[{table}]\nfeed = {named}\n")
    path = write(text)
    if fault is None:
        assert load(path, {})
        return
    reported = [each for each in faults(path) if fault in each]
    for table in tables:
        assert any(f"broker.toml:{table}.feed: " in each for each in reported)


@pytest.mark.parametrize(
    ("written_scopes", "scopes", "from_folder", "left"),
    [
        ('"metadata"', (), True, {"aliases", "scopes"}),
        ("[]", (), False, {"aliases"}),
        ('["au.dk"]', ("au.dk",), False, {"aliases"}),
        (None, (), False, {"aliases", "scopes"}),
    ],
)
def test_scopes_may_be_left_to_the_metadata(
    write: Write, written_scopes: str | None, scopes: tuple[str, ...], from_folder: bool, left: set[str]
) -> None:
    """In a word, wherever the metadata lies; left out, to a feed alone."""
    more = "" if written_scopes is None else f", scopes = {written_scopes}"
    label = 'label = {en = "National eID", da = "Nationalt eID"}'
    listed = f'{label}\ninstitutions = [{{entity_id = "https://eid.example"{more}}}]'
    (found,) = load(write(GOOD.replace(label, listed)), {}).core_upstreams()["national-eid"].institutions
    assert (found.scopes, found.folder_scopes, set(found.unwritten)) == (scopes, from_folder, left)

"""Which store a URL names, and what is refused or reported about it."""

from pathlib import Path

import pytest

from broker.adapters.stores import redis_connection
from broker.adapters.stores.open_store import open_store
from broker.adapters.stores.redis import RedisStore
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import ConfigurationFaults

SECRET = "hemmeligt"


def test_sqlite_lies_beside_the_configuration(tmp_path: Path) -> None:
    """A relative name is taken from the folder given, an absolute one as it is, and the file is there at once."""
    assert isinstance(open_store("sqlite:broker.db", tmp_path), SqliteStore)
    assert (tmp_path / "broker.db").is_file()
    open_store(f"sqlite:{tmp_path / 'other.db'}", Path("/nowhere"))
    assert (tmp_path / "other.db").is_file()


@pytest.mark.parametrize(
    ("url", "hosts", "path", "encrypted"),
    [
        ("redis://localhost", (("localhost", 6379),), (), False),
        ("redis://127.0.0.1:7000/3", (("127.0.0.1", 7000),), ("3",), False),
        ("rediss://u:hemmeligt@[::1]:7000", (("::1", 7000),), (), True),
        ("redis+sentinel://a,b:1/books/2", (("a", 26379), ("b", 1)), ("books", "2"), False),
        ("rediss+sentinel://:hemmeligt@a/books", (("a", 26379),), ("books",), True),
        ("rediss+cluster://:hemmeligt@a:1,b", (("a", 1), ("b", 6379)), (), True),
    ],
)
def test_a_redis_url_is_taken_apart(
    url: str, hosts: tuple[tuple[str, int], ...], path: tuple[str, ...], *, encrypted: bool
) -> None:
    """Hosts, ports, service and database are read from the URL, and the password stays out of sight."""
    address = redis_connection.parse(url, Path())
    assert (address.hosts, address.path, address.uses_tls) == (hosts, path, encrypted)
    assert (address.password == SECRET) is (SECRET in url)
    assert SECRET not in repr(address)
    assert isinstance(open_store(url, Path()), RedisStore)


def test_sentinels_have_a_name_and_password_of_their_own() -> None:
    """The user name and password go to the Sentinels only; the password is hidden."""
    url = "rediss+sentinel://:other@a/books?sentinel_username=u&sentinel_password=hemmelig%26t"
    address = redis_connection.parse(url, Path())
    assert address.at_sentinels == {"username": "u", "password": "hemmelig&t"}
    assert (address.password, "hemmelig" in repr(address)) == ("other", False)


def test_certificate_files_lie_beside_the_configuration() -> None:
    """The files of TLS are relative to the configuration's folder, and certificates are always checked."""
    address = redis_connection.parse("rediss://:x@h?ssl_ca_certs=ca.pem", Path("/etc/broker"))
    connection = address.open().connection_pool.make_connection()
    assert connection.ca_certs == "/etc/broker/ca.pem"
    assert connection.check_hostname
    assert connection.cert_reqs.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker.db",
        "sqlite:",
        "sqlite://host/broker.db",
        "mysql://:hemmeligt@h/0",
        "redis://",
        "redis://:hemmeligt@",
        "redis://:hemmeligt@h:port",
        "redis://:hemmeligt@h:1,i:2",
        "redis://:hemmeligt@h/zero",
        "redis://:hemmeligt@h/0/1",
        "redis+sentinel://:hemmeligt@h",
        "redis+sentinel://:hemmeligt@h/books/x",
        "redis+cluster://:hemmeligt@h/1",
        "rediss://:hemmeligt@h?ssl_cert_reqs=none",
        "rediss://:hemmeligt@h?ssl_check_hostname=no",
        "rediss://:hemmeligt@h?nonsense",
        "rediss://:hemmeligt@h?sentinel_password=hemmeligt",
    ],
)
def test_a_url_that_names_no_store_is_a_fault(url: str, tmp_path: Path) -> None:
    """The fault says how to write a URL and quotes nothing. Options that switch off a check are refused too."""
    with pytest.raises(ConfigurationFaults) as refused:
        open_store(url, tmp_path)
    (fault,) = refused.value.faults
    assert fault.where == "store.url"
    assert fault.fix
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "servers", "words"),
    [
        ("redis://localhost", (), ()),
        ("redis://127.0.0.9:1", (), ()),
        ("redis://[::1]", (), ()),
        ("redis://redis.library.example", (), ("rediss", "password")),
        ("redis://:hemmeligt@10.0.0.1", (), ("rediss",)),
        ("rediss://10.0.0.1", (), ("password",)),
        ("rediss://:hemmeligt@10.0.0.1", (), ()),
        ("redis+cluster://localhost,10.0.0.1", (), ("rediss", "password")),
        ("redis+sentinel://localhost/books", ("127.0.0.1",), ()),
        ("redis+sentinel://localhost/books", ("10.0.0.1",), ("rediss", "password")),
        ("redis://localhost.example", (), ("rediss", "password")),
    ],
)
def test_beyond_this_machine_encryption_and_a_password_are_demanded(
    url: str, servers: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Off loopback, by the URL or by what Sentinel or the Cluster named, each missing protection is a sentence."""
    faults = redis_connection.parse(url, Path()).faults(servers)
    assert len(faults) == len(words)
    assert all(word in fault for word, fault in zip(words, faults, strict=True))
    assert SECRET not in "".join(faults)

"""The stock of RSA keys gives each key once a process, and the same keys to the next."""

from pathlib import Path

from tests.plugins.rsa_keys import MAKE, Stock

SMALL = 1024


def test_a_process_is_given_no_key_twice(tmp_path: Path) -> None:
    """Two that must differ in a test do, and the next run is given the same ones without making any."""
    first, made = Stock(tmp_path), []
    keys = [first.generate(65537, SMALL).private_numbers() for _ in range(2)]
    assert keys[0] != keys[1]
    later = Stock(tmp_path, lambda *asked: made.append(asked) or MAKE(*asked))  # type: ignore[func-returns-value]
    assert [later.generate(65537, SMALL).private_numbers() for _ in range(2)] == keys
    assert made == []
    assert later.generate(65537, SMALL).private_numbers() not in keys
    assert made == [(65537, SMALL)]


def test_a_key_is_its_owner_s_and_of_the_size_that_was_asked_for(tmp_path: Path) -> None:
    """Sizes are kept apart; no file of it is open to others, and none is left half written."""
    stock = Stock(tmp_path)
    assert [stock.generate(65537, size).key_size for size in (SMALL, 2048, SMALL)] == [SMALL, 2048, SMALL]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1024-1.der", "1024-2.der", "2048-1.der"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}

"""A web worker and the record of the policies: it adds the first set, reports its digest, records what is saved."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.app import background_work, findings, live_reload
from broker.app.application import create_app
from broker.app.assembly import Parts
from broker.app.live_reload import LiveReload
from broker.core.errors import StoreUnavailable
from broker.core.policy.model import PolicySet
from broker.core.policy.set_digest import digest
from broker.core.ports import Key
from broker.files.policies.live_policies import LivePolicies
from broker.files.policies.policy_folder import PolicyFolder
from broker.files.settings.config import load
from broker.use_cases.policies.set_in_force import Live, Move, Proposal, SetInForce
from broker.use_cases.policies.worker_reports import OwnReport, current
from tests.plugins.house import Clock

Made = Callable[..., Parts]


@pytest.fixture
def made(own_setting: Path, clock: Clock) -> Made:
    """Make a worker of a broker in a folder of its own, under a setting."""
    del clock

    def make(live: str = "apply") -> Parts:
        app = create_app(load(own_setting / "broker.toml", {"BROKER_POLICY__LIVE": live}))
        parts: Parts = app.extensions["broker"]
        return parts

    return make


def edit(folder: Path, number: int) -> None:
    """Change the policies of a folder."""
    path = folder / "policies" / "student.yaml"
    path.write_text(path.read_text() + f"# {number}\n")


def moved(parts: Parts, folder: Path, *, alone: bool = False) -> str:
    """Put the folder in force."""
    edit(folder, 1)
    files = PolicyFolder(folder / "policies").files().files
    sets, moment = parts.following.sets, parts.following.now()
    wanted = Proposal(files, Move.APPLIED, "kirsten@idp1", "age 15", {}, alone=alone)
    change = sets.move(sets.live(moment), wanted, moment)
    assert change
    return change.digest


def moves(parts: Parts) -> list[tuple[Move, str]]:
    """Give how each set came into force, and which it is."""
    return [(change.move, change.digest) for change in parts.following.sets.history(parts.following.now())]


def on_trail(folder: Path) -> list[dict[str, Any]]:
    """Give the events of the policies on the trail, without what every line has."""
    (path,) = (folder / "state" / "audit").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["event"].startswith("policies")]


def test_the_first_start_adds_its_folder_and_no_later_one(own_setting: Path, made: Made) -> None:
    """An edit between two starts is a proposal, and the trail has one line."""
    first = made().policies.current.digest
    edit(own_setting, 1)
    assert made().policies.current.digest == first
    parts = made()
    assert moves(parts) == [(Move.FIRST, first)]
    proposed = digest(PolicyFolder(own_setting / "policies").files().files)
    assert parts.following.sets.sets.read(proposed, parts.following.now()) is None
    (line,) = on_trail(own_setting)
    assert (line["event"], line["digest"], line["count"]) == ("policies_begun", first[:12], 1)
    assert line["changes"][0] == "employee.yaml added"
    assert line["by"].startswith("the first start, on ")


def test_each_worker_reports_its_digest_until_it_ends(made: Made, clock: Clock) -> None:
    """By machine and process, through the thread that looks once a second."""
    workers = [made(), made()]
    for parts in workers:
        live_reload.refresh(parts)
    reports = current(workers[0].store, clock.now())
    assert [record.value.digest for record in reports.values()] == [workers[0].policies.current.digest] * 2
    workers[0].following.end()
    assert len(current(workers[0].store, clock.now())) == 1


def digests(parts: Parts) -> list[str]:
    """Give the digests that the workers report."""
    return [record.value.digest for record in current(parts.store, parts.following.now()).values()]


def test_a_worker_reports_before_it_looks_for_the_first_time(
    own_setting: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that whoever applies after that look waits for it; what was applied before decides from the first request."""
    parts = made()
    first = parts.policies.current.digest
    name = moved(parts, own_setting)
    refresh, seen = LivePolicies.refresh, []

    def looked(self: LivePolicies, *given: Any) -> PolicySet:
        seen.append(digests(parts))
        return refresh(self, *given)

    monkeypatch.setattr(LivePolicies, "refresh", looked)
    assert digests(parts) == []
    worker = LiveReload(parts)
    worker.end()  # so that its thread does nothing
    worker.start().join()
    assert seen == [[first]]
    assert (parts.policies.current.digest, digests(parts)) == (name, [name])


def test_a_worker_renews_its_report_while_it_loads(
    own_setting: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load of many files takes longer than a worker may be silent; the report has the set that still decides."""
    parts = made()
    live_reload.refresh(parts)
    first = parts.policies.current.digest
    name = moved(parts, own_setting)
    seen: list[str] = []
    monkeypatch.setattr(live_reload, "_SHARE", 0)
    monkeypatch.setattr(OwnReport, "renew", lambda _self, _now: seen.extend(digests(parts)))
    live_reload.refresh(parts)
    assert set(seen) == {first}
    assert digests(parts) == [name]


def test_what_is_saved_is_recorded_by_one_worker(own_setting: Path, made: Made) -> None:
    """Where the folder itself is in force: the record follows it, with a line on the trail for each edit."""
    workers = [made("save"), made("save")]
    digests = []
    for number in range(3):
        for parts in (*workers, *workers):
            live_reload.refresh(parts)
        digests.append(workers[0].policies.current.digest)
        edit(own_setting, number)
    assert moves(workers[0]) == [(Move.SAVED, digest) for digest in digests]
    lines = on_trail(own_setting)
    assert [line["event"] for line in lines] == ["policies_saved"] * 3
    assert lines[1]["changes"] == ["student.yaml changed"]


def test_a_folder_that_is_broken_is_not_recorded(own_setting: Path, made: Made) -> None:
    """The last good set stands in; what is recorded is what decides."""
    parts = made("save")
    live_reload.refresh(parts)
    good = parts.policies.current.digest
    (own_setting / "policies" / "student.yaml").write_text("version: 1\n")
    live_reload.refresh(parts)
    assert moves(parts) == [(Move.SAVED, good)]
    assert made("save").policies.current.digest == good
    assert moves(parts) == [(Move.SAVED, good)]


def test_a_set_that_decides_between_two_saves_only_is_recorded(own_setting: Path, made: Made) -> None:
    """The folder holds the next edit by the time that a worker records: the last good set is what decided."""
    parts = made("save")
    live_reload.refresh(parts)
    expected = [parts.policies.current.digest]
    for number in range(2):
        edit(own_setting, number)
        expected.append(parts.policies.refresh(parts.following.now()).digest)
        edit(own_setting, 10 + number)
        parts.following.step()
    live_reload.refresh(parts)
    expected.append(parts.policies.current.digest)
    assert moves(parts) == [(Move.SAVED, digest) for digest in expected]


@pytest.mark.parametrize("known", [True, False])
def test_what_decided_only_while_the_store_was_away_is_recorded(
    own_setting: Path, made: Made, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """By one worker of two, each set in its turn, also one that was taken back meanwhile; each with a line."""
    workers = [made("save"), made("save")]
    if known:
        for parts in (*workers, *workers):
            live_reload.refresh(parts)
    path = own_setting / "policies" / "student.yaml"
    first, expected = path.read_text(), [workers[0].policies.current.digest]

    def away(_self: SetInForce, _now: datetime) -> Live:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(SetInForce, "live", away)
        for number, text in enumerate((f"{first}# 1\n", f"{first}# 2\n", first)):
            for parts in (*workers, *workers):
                live_reload.refresh(parts)
            path.write_text(text + " " * number)
        for parts in workers:
            live_reload.refresh(parts)
            expected += [parts.policies.current.digest]
    for parts in (*workers, *workers):
        live_reload.refresh(parts)
    found = [name for _, name in moves(workers[0])]
    assert len(found) == len(set(found)) == 4
    assert (found[0], found[-1]) == (expected[0], expected[-1])
    assert len(on_trail(own_setting)) == 4


@pytest.mark.parametrize("begins", ["before", "meanwhile"])
def test_what_decided_is_recorded_also_by_a_worker_that_began_while_the_store_was_away(
    own_setting: Path, made: Made, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    """The set of the store decided at its start too, and is no other worker's record."""
    parts = made("save")
    live_reload.refresh(parts)
    expected = [parts.policies.current.digest]
    if begins == "before":  # its own record is the last thing that it did
        edit(own_setting, 7)
        live_reload.refresh(parts)
        expected.append(parts.policies.current.digest)
    with monkeypatch.context() as patched:
        patched.setattr(SetInForce, "live", store_away)
        if begins == "meanwhile":
            parts = made("save")
        live_reload.refresh(parts)
        expected += saved_meanwhile(parts, own_setting)
    live_reload.refresh(parts)
    assert [name for _, name in moves(parts)] == expected


def test_a_worker_knows_its_own_record_where_the_store_goes_away_again(
    own_setting: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it catches up: the rest is recorded once the store is back for good."""
    parts = made("save")
    for _ in range(2):
        live_reload.refresh(parts)
    expected, live = [parts.policies.current.digest], SetInForce.live
    answers = iter([True, False])

    def once(self: SetInForce, now: datetime) -> Live:
        return live(self, now) if next(answers, True) else store_away(self, now)

    with monkeypatch.context() as patched:
        patched.setattr(SetInForce, "live", store_away)
        expected += saved_meanwhile(parts, own_setting)
    monkeypatch.setattr(SetInForce, "live", once)
    for _ in range(3):
        live_reload.refresh(parts)
    assert [name for _, name in moves(parts)] == expected


def store_away(_self: SetInForce, _now: datetime) -> Live:
    """Answer as a store that is away."""
    raise StoreUnavailable


def saved_meanwhile(parts: Parts, folder: Path) -> list[str]:
    """Save three edits one after the other, and give the sets that decided."""
    decided = []
    for number in range(3):
        edit(folder, number)
        live_reload.refresh(parts)
        decided.append(parts.policies.current.digest)
    return decided


def test_a_start_on_the_last_good_set_records_that_and_not_the_folder(own_setting: Path, made: Made) -> None:
    """What lies in the folder is not what decides; without a trace of it a refusal could not be explained."""
    good = made("save").policies.current.digest
    (own_setting / "policies" / "student.yaml").write_text("version: 1\n")
    parts = made("save")
    live_reload.refresh(parts)
    assert parts.policies.stale
    assert moves(parts) == [(Move.SAVED, good)]


def test_a_first_start_on_the_last_good_set_adds_nothing(own_setting: Path, made: Made) -> None:
    """A store that comes back empty is told what is in force by whoever applies it."""
    made()
    edit(own_setting, 1)
    store = SqliteStore(own_setting / "state" / "broker.db")
    for key, _ in list(store.list("policy", None, datetime.now(UTC))):
        store.drop(key)
    parts = made()
    assert parts.policies.stale
    assert moves(parts) == []


def test_broker_work_writes_what_no_trail_has(made: Made) -> None:
    """It is among what it does beside enrolments and letters."""
    parts = made()
    assert parts.following.trail.step in list(background_work._upkeep(parts))


def test_whoever_takes_up_the_record_goes_on_from_what_was_saved(own_setting: Path, made: Made) -> None:
    """From "save" to "apply" nothing changes but who decides: the folder is a proposal from then on."""
    parts = made("save")
    live_reload.refresh(parts)
    saved = parts.policies.current.digest
    edit(own_setting, 1)
    later = made("apply")
    assert later.policies.current.digest == saved
    assert moves(later) == [(Move.SAVED, saved)]


def applied(parts: Parts, folder: Path) -> str:
    """Put the folder in force, and let the worker look."""
    name = moved(parts, folder)
    live_reload.refresh(parts)
    return name


def test_a_worker_tells_whose_change_it_has_taken_up(
    own_setting: Path, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of the log has who and why, where the record says so."""
    parts = made()
    capsys.readouterr()
    name = applied(parts, own_setting)
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "policies_changed" in line]
    assert (line["digest"], line["who"], line["why"]) == (name[:12], "kirsten@idp1", "age 15")


def test_a_worker_raises_the_alarm_where_one_person_has_acted_alone(
    own_setting: Path, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the level of its line, beside the line that says what is in force now; the trail has the reason."""
    parts = made()
    capsys.readouterr()
    name = moved(parts, own_setting, alone=True)
    live_reload.refresh(parts)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["event"] == "policies_alone"]
    assert (line["level"], line["digest"], line["who"], line["why"]) == ("error", name[:12], "kirsten@idp1", "age 15")


def test_a_check_finds_what_of_the_policies_in_force_does_not_open(own_setting: Path, made: Made) -> None:
    """The set, which an apply mends, and the record that names it, which nothing does but its key or a backup."""
    parts = made()
    name = applied(parts, own_setting)
    for key in (Key("policy", f"set/{name}", "0000"), Key("policy", "live")):
        store = SqliteStore(own_setting / "state" / "broker.db")
        kept = store.get(key, parts.following.now())
        assert kept
        broken = kept._replace(value=kept.value[:-1] + bytes([kept.value[-1] ^ 1]), version="another")
        assert store.put(key, broken, kept.version, parts.following.now())
        (found,) = findings._policy_record(parts)
        named = f"policies: set {name[:12]} is in force, and is not whole in the store (broker policy apply"
        assert found.startswith((named, "policies: the record of the set in force does not open"))
        assert found.startswith(named) is (key.group != "live")


def test_a_check_finds_where_machines_may_part(own_setting: Path, made: Made) -> None:
    """A set that the store has lost, so that no other machine can take it up; folders beside a shared store."""
    parts = made()
    name = applied(parts, own_setting)
    assert list(findings._policy_record(parts)) == []
    parts.store.drop(Key("policy", f"set/{name}", "0000"))
    (lost,) = findings._policy_record(parts)
    assert lost.startswith(f"policies: set {name[:12]} is in force, and is not in the store (broker policy apply")
    saved = made("save")
    assert list(findings._policy_record(saved)) == []
    store = saved.config.store.model_copy(update={"url": "redis://127.0.0.1"})
    shared = replace(saved, config=saved.config.model_copy(update={"store": store}))
    (apart,) = findings._policy_record(shared)
    assert apart.startswith('policy.live is "save": each machine decides by its own folder')

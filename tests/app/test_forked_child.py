"""A child that is forked: its end, its signals, its name, and what it leaves alone."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.server

# To fork where other threads run is what ``forked`` forbids, and this process has threads: each try is one of its own.
PROLOGUE = """
import os, signal, sys, time
from subprocess import TimeoutExpired
from broker.app.forked_child import forked
"""


def printed(script: str) -> str:
    """Run a program that forks, and give what it and its child print."""
    command = (sys.executable, "-c", PROLOGUE + script)
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return ran.stdout


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("None", 0),
        ("sys.exit(78)", 78),
        ("sys.exit()", 0),
        ("sys.exit('a sentence')", 1),
        ("1 / 0", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
)
def test_its_end_is_told_as_that_of_a_program(body: str, code: int) -> None:
    """By the code it exits with, 1 for an error, the signal that killed it; asked again, the same."""
    script = f"child = forked('x', lambda: {body})\nprint(child.wait(), child.poll(), child.wait(1))"
    assert printed(script) == f"{code} {code} {code}\n"


def test_an_error_in_it_is_quoted_nowhere() -> None:
    """Its traceback might show a CPR number; nothing that the parent was in the middle of goes on in the child."""
    script = """
def fails(): raise ValueError('1403044004')
try:
    child = forked('x', fails)
finally:
    print('once')
child.wait()
"""
    ran = subprocess.run(
        (sys.executable, "-c", PROLOGUE + script), cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (ran.stdout, ran.stderr) == ("once\n", "")


def test_what_was_written_before_is_written_once() -> None:
    """Lines that the parent holds back are not written again by the child as it ends."""
    assert printed("print('before')\nforked('x', lambda: print('in it')).wait()") == "before\nin it\n"


def test_it_ends_by_signals_that_mean_something_else_to_its_parent() -> None:
    """A server takes SIGTERM, SIGHUP and SIGCHLD for its own ends; a child that did so too would never end."""
    script = """
for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(each, lambda *_: None)
signal.signal(signal.SIGCHLD, lambda *_: None)
for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    child = forked('x', lambda: time.sleep(60))
    child.send_signal(each)
    print(child.wait(20) == -each)
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set())
"""
    assert printed(script).split() == ["True"] * 4


def test_one_that_goes_on_is_waited_for_so_long_and_no_longer() -> None:
    """TimeoutExpired, as of subprocess; it can be killed then, and a signal to one that has ended goes to nobody."""
    script = """
child = forked('x', lambda: time.sleep(60))
try:
    child.wait(0.1)
except TimeoutExpired:
    print(child.poll())
child.kill()
print(child.wait(20))
sent = []
os.kill = lambda *args: sent.append(args)
child.terminate()
print(sent)
"""
    assert printed(script) == "None\n-9\n[]\n"


def test_an_end_that_another_has_taken_is_an_end() -> None:
    """The server waits for every child of the process, whose code is then gone."""
    script = "child = forked('x', lambda: None)\nos.waitpid(-1, 0)\nprint(child.poll(), child.wait())"
    assert printed(script) == "0 0\n"


def test_it_has_its_name_and_no_standard_input() -> None:
    """An administrator finds it by its name; what is typed to the server is not read by it."""
    script = """
def tell():
    print(open('/proc/self/comm').read().strip(), repr(sys.stdin.read()))
forked('broker work', tell).wait()
print(open('/proc/self/comm').read().strip() == 'broker work')
"""
    assert printed(script) == "broker work ''\nFalse\n"

"""The calls that an institution has in Alma, by the second and by the day."""

from collections.abc import Callable

from flask import Flask
from werkzeug.test import TestResponse

from broker.demo.alma.administration import Administration
from broker.demo.alma.call_limits import CallLimits
from broker.demo.alma.simulated_alma import create_app

MIDNIGHT = 1_796_083_200.0
REMAINING = "X-Exl-Api-Remaining"


class Clock:
    """A clock that is set."""

    now = MIDNIGHT - 10

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def limited(clock: Clock, **wanted: int) -> tuple[Flask, Callable[[], TestResponse]]:
    """Give an Alma with limits, and what asks it once."""
    app = create_app(administration=Administration().changed(**wanted), limits=CallLimits(clock))
    headers = {"Authorization": "apikey demo", "Accept": "application/json"}
    return app, lambda: app.test_client().get("/almaws/v1/users", headers=headers)


def code(answer: TestResponse) -> str:
    """Give the code of an error."""
    assert answer.status_code == 429
    return str(answer.get_json()["errorList"]["error"][0]["errorCode"])


def test_more_calls_than_a_second_has_are_refused_until_the_next() -> None:
    """The call past the limit is 429 with PER_SECOND_THRESHOLD; the next second has all its calls."""
    clock = Clock()
    _, ask = limited(clock, per_second=2)
    assert [ask().status_code for _ in range(2)] == [200, 200]
    assert code(ask()) == "PER_SECOND_THRESHOLD"
    clock.now += 1
    assert ask().status_code == 200


def test_the_header_tells_what_is_left_until_midnight() -> None:
    """Every answer tells the calls left of the day, a refused one too; midnight gives all back."""
    clock = Clock()
    app, ask = limited(clock, per_day=3)
    app.extensions["alma"].limits.spend(1)
    assert [ask().headers[REMAINING] for _ in range(2)] == ["1", "0"]
    refused = ask()
    assert code(refused) == "DAILY_THRESHOLD"
    assert refused.headers[REMAINING] == "0"
    clock.now = MIDNIGHT
    assert ask().headers[REMAINING] == "2"


def test_an_error_of_a_call_counts_too() -> None:
    """A call that is answered with an error is one of the day's."""
    app, ask = limited(Clock(), per_day=3)
    headers = {"Authorization": "apikey demo", "Accept": "application/json"}
    assert app.test_client().get("/almaws/v1/users/nobody", headers=headers).headers[REMAINING] == "2"
    assert ask().headers[REMAINING] == "1"

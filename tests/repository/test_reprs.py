"""A careless log line or a traceback shows no secret of the values that hold one."""

from datetime import UTC, datetime

import pytest
from werkzeug.datastructures import MultiDict

from broker.adapters.web.pages.page_security import SubmittedForm
from broker.configuration.settings.raw_settings import RawSettings
from broker.core.mail.mail_contents import MailText
from broker.use_cases.pins.known_browsers import BrowserToken
from broker.use_cases.pins.library_login import LoginAttempt
from broker.use_cases.storage.mail_outbox import QueuedMail

SECRET = "f1e2d3c4"


@pytest.mark.parametrize(
    "value",
    [
        SubmittedForm(MultiDict({"pin": SECRET})),
        MailText("Your PIN", SECRET),
        QueuedMail("ann@post.example", "PIN", SECRET, datetime(2026, 1, 1, tzinfo=UTC)),
        LoginAttempt("1", SECRET, "b1", "decoy", "en", "now", "here"),
        BrowserToken(SECRET, SECRET),
        RawSettings({"mail": {"password": SECRET}}, "broker.toml"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_repr_shows_a_secret(value: object) -> None:
    """Forms, letters, links, settings and keys are named, and nothing of them is shown."""
    assert SECRET not in repr(value)

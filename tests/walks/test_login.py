"""Whole logins: service, broker, hub, library system and mail server, over real messages."""

from tests.plugins.deployment import Deployment, find_text, mark


def test_a_lowered_category_is_shown_before_the_assertion_is_sent(deployment: Deployment) -> None:
    """The page is the person's own, comes once, and goes on by its own form only."""
    first, person, other = deployment.person(), deployment.person(), deployment.person()
    first.agree(first.log_in("otto"))
    question = person.log_in("otto-left")
    token = find_text(question, "//form[@class='answer']//input[@name='token']/@value")
    sent = person.post(question.request.path, {"token": token, "answer": "yes"})
    assert sent.status_code == 303
    page = person.get(sent.location)
    assert mark(page) == ("changed", "lowered")
    assert mark(other.get(sent.location))[0] == "error"
    assert mark(person.post(sent.location, {"token": token}))[0] == "error"
    landing = deployment.landing(person.press(page))
    assert landing.attributes["uid"]
    assert deployment.landing(person.get(sent.location)).attributes == landing.attributes
    assert not person.agree(person.log_in("otto-left")).location  # later logins go straight on

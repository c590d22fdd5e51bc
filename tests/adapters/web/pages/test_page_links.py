"""Addresses with a query: what has no value is left out."""

from broker.adapters.web.pages.page_links import add_query

URL = "https://login.library.example/pin"


def test_a_field_without_a_value_is_left_out() -> None:
    """No address ends in a bare question mark or an empty field."""
    assert add_query(URL, {"change": "wayf", "service": "my-loans"}) == f"{URL}?change=wayf&service=my-loans"
    assert add_query(URL, {"change": "wayf", "service": None}) == f"{URL}?change=wayf"
    assert add_query(URL, {"service": ""}) == URL


def test_what_a_browser_sent_cannot_add_a_field() -> None:
    """A value is quoted, whatever stands in it."""
    assert add_query(URL, {"service": "a&login=b#c"}) == f"{URL}?service=a%26login%3Db%23c"

"""Addresses with a query: what has no value is left out."""

from broker.adapters.web.pages.page_links import with_query

URL = "https://login.library.example/pin"


def test_a_field_without_a_value_is_left_out() -> None:
    """No address ends in a bare question mark or an empty field."""
    assert with_query(URL, {"change": "wayf", "service": "my-loans"}) == f"{URL}?change=wayf&service=my-loans"
    assert with_query(URL, {"change": "wayf", "service": None}) == f"{URL}?change=wayf"
    assert with_query(URL, {"service": ""}) == URL


def test_what_a_browser_sent_cannot_add_a_field() -> None:
    """A value is quoted, whatever stands in it."""
    assert with_query(URL, {"service": "a&login=b#c"}) == f"{URL}?service=a%26login%3Db%23c"

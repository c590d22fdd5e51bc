"""The sign-up pages over HTTP: answers, errors, links, languages, and no way out of the library's own address."""

import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.web.sign_up import sign_up_links
from tests.plugins.signup_pages import BACK, BASE, PAGES, PATHS, SETTING, STATEMENT, signup_site, usual_site

# Pages that are no part of the sign-up pages.
ELSEWHERE = {sign_up_links.BEGIN, sign_up_links.PIN, sign_up_links.CHOICES}

LANGUAGES = ("en", "da")
HREF = re.compile(r'<a [^>]*href="([^"]*)"')


@pytest.fixture
def client() -> FlaskClient:
    """Give a browser that has been nowhere."""
    return usual_site().test_client()


def links(page: str) -> list[str]:
    """Give the address of every link of a page's own, without header and footer."""
    main = page.partition("<main")[2].partition("</main>")[0]
    return [unescape(each) for each in HREF.findall(main)]


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.answers])
def test_every_answer_leads_on(client: FlaskClient, name: str) -> None:
    """An answer is a redirect to the next page's own address, with the service and the language."""
    page = PAGES[name]
    for key, answer in page.answers.items():
        reply = client.get(f"{page.address}?service=my-loans&lang=en&answer=&answer={key}")
        assert reply.status_code == 303
        expected = f"{BASE}{PAGES[answer.leads_to].address}?service=my-loans&lang=en"
        assert reply.headers["Location"] == expected


@pytest.mark.parametrize(("spoken", "error"), [("en", "Error: "), ("da", "Fejl: ")])
@pytest.mark.parametrize("answer", ["", "answer=&answer=", "answer=maybe", "answer=yes&answer=no", "answer=%00<b>"])
def test_without_an_answer_the_page_says_so(client: FlaskClient, answer: str, spoken: str, error: str) -> None:
    """No answer, an unknown one and two answers give 422 with title, summary and field; the query is kept."""
    path = f"/sign-up/student?service=myprint&lang={spoken}&{answer or 'answer='}"
    reply = client.get(path)
    assert reply.status_code == 422
    assert f"<title>{error}" in reply.text
    assert 'data-problem="answer_missing"' in reply.text
    assert 'href="#answer-yes"' in reply.text
    assert 'id="answer-yes"' in reply.text
    assert '<fieldset aria-describedby="problem">' in reply.text
    assert '<input type="hidden" name="service" value="myprint">' in reply.text
    assert "maybe" not in reply.text
    assert "<b>" not in reply.text


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_back_its_name_and_no_dead_link(client: FlaskClient, path: str, spoken: str) -> None:
    """Back leads to the page before (R46), and every link of our own is answered, its anchor too."""
    page = client.get(f"{path}?lang={spoken}&service=my-loans").text
    name = next((name for name, shape in PAGES.items() if shape.address == path), "faq")
    assert f'data-step="sign-up" data-reason="{name}"' in page
    assert page.count("<h1") == 1
    assert f'<html lang="{spoken}">' in page
    assert len(page.encode()) < 60_000
    back = BACK.get(name) if name in PAGES else "start"
    expected = f'class="back"><a href="{PAGES[back].address}?' if back else ""
    assert expected in page
    assert ('class="back"' in page) is bool(back)
    for href in links(page):
        address = urlsplit(href)
        if address.netloc or address.path in ELSEWHERE:
            continue
        found = client.get(href) if address.path else client.get(f"{path}?lang={spoken}")
        assert found.status_code == 200, href
        assert not address.fragment or f'id="{address.fragment}"' in found.text, href


def test_back_leads_to_the_refusal_that_sent_the_person(client: FlaskClient) -> None:
    """Back of the page a refusal links to is the refusal, in both languages; without a login it is the page before."""
    login = "0" * 32
    for address in ("/sign-up/student/temporary", "/sign-up/hospital"):
        page = client.get(f"{address}?lang=en&login={login}&from=login").text
        assert re.findall(r'class="back"><a href="([^"]*)"', page) == [f"/login/{login}"]
        assert f'href="?lang=da&amp;login={login}&amp;from=login"' in page
        elsewhere = client.get(f"{address}?lang=en&from=login").text
        assert 'class="back"><a href="/sign-up' in elsewhere


@pytest.mark.parametrize("path", PATHS)
def test_the_service_is_carried_through_every_link(client: FlaskClient, path: str) -> None:
    """The service that a person came from stays in every link, also to the login; an unknown one is dropped."""
    known = client.get(f"{path}?service=my-loans").text
    own = [each for each in links(known) if each.startswith("/") and each != sign_up_links.CHOICES]
    assert own
    assert [each for each in own if dict(parse_qsl(urlsplit(each).query)).get("service") != "my-loans"] == []
    assert 'href="?service=my-loans&amp;lang=' in known
    unknown = client.get(f"{path}?service=evil").text
    assert "evil" not in unknown
    assert "service=" not in unknown


def test_last_pages_begin_the_right_login(client: FlaskClient) -> None:
    """The button of a last page carries the affiliation as the intent, and the configured upstream (R03-R10, R15)."""
    setting = replace(SETTING, university="hub", national_eid="eid")
    client = signup_site(setting=setting).test_client()
    begin = "/sign-up/begin?affiliation="
    expected = {
        "student.pin": [f"{begin}student&upstream=hub", "/pin?affiliation=student", "/pin?change=hub"],
        "employee.pin": [f"{begin}employee&upstream=hub", "/pin?affiliation=employee", "/pin?change=hub"],
        "hospital.login": [f"{begin}hospital&upstream=hub"],
        "hospital.kaldemail": [f"{begin}hospital&upstream=eid"],
        "private.eid": [f"{begin}private&upstream=eid"],
    }
    found = {
        name: [each for each in links(client.get(page.address).text) if each.startswith(("/pin", sign_up_links.BEGIN))]
        for name, page in PAGES.items()
    }
    assert {name: each for name, each in found.items() if each} == expected


def test_the_short_address_was_leads_to_the_accessibility_statement() -> None:
    """The address /was redirects to the statement, and answers 404 if there is none."""
    assert usual_site().test_client().get("/was").headers["Location"] == STATEMENT
    assert usual_site().test_client().get("/was").status_code == 303
    assert signup_site(accessibility="").test_client().get("/was").status_code == 404


FIELDS = st.sampled_from(["answer", "service", "lang", "from", "next", "RelayState", "affiliation"])
HOSTILE = st.text() | st.sampled_from(
    [
        "yes",
        "no",
        "student",
        "private",
        "my-loans",
        "en",
        "https://evil.example",
        "//evil.example",
        "\\\\evil",
        "\r\nX: y",
    ]
)


@given(st.sampled_from(PATHS), st.lists(st.tuples(FIELDS, HOSTILE)))
def test_no_query_leads_away(path: str, query: list[tuple[str, str]]) -> None:
    """Every query leads to a page or to a redirect below base_url (CWE-601)."""
    reply = CLIENT.get(path, query_string=query, headers={"Host": "evil.example"})
    assert reply.status_code in {200, 303, 422}
    if reply.status_code == 303:
        location = urlsplit(reply.headers["Location"])
        assert f"{location.scheme}://{location.netloc}" == BASE
        assert location.path in PATHS
        assert dict(parse_qsl(location.query)).keys() <= {"service", "lang"}


CLIENT = usual_site().test_client()

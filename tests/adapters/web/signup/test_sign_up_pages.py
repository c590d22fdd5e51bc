"""The sign-up pages over HTTP: answers, errors, links, languages, and no way out of the library's own address."""

import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.web.signup import sign_up_questions
from broker.core.entities import Text
from tests.plugins.signup_pages import BASE, LINKS, PATHS, SETTING, STATEMENT, signup_site, usual_site, words

# Pages that are no part of the sign-up pages.
ELSEWHERE = {sign_up_questions.BEGIN, sign_up_questions.PIN, sign_up_questions.CHOICES}

LANGUAGES = ("en", "da")
HREF = re.compile(r'<a [^>]*href="([^"]*)"')
WAY = {"login_wayf": "wayf", "login_wayf_pin": "wayf", "login_eid_private": "eid", "login_eid_hospital": "eid"}


@pytest.fixture
def client() -> FlaskClient:
    """Give a browser that has been nowhere."""
    return usual_site().test_client()


def links(page: str) -> list[str]:
    """Give the address of every link of a page's own, without header and footer."""
    main = page.partition("<main")[2].partition("</main>")[0]
    return [unescape(each) for each in HREF.findall(main)]


@pytest.mark.parametrize("name", [each.name for each in sign_up_questions.NODES.values() if each.question])
def test_every_answer_leads_on(client: FlaskClient, name: str) -> None:
    """An answer is a redirect to the next page's own address, with the service and the language."""
    node = sign_up_questions.NODES[name]
    for answer, following in node.answers.items():
        reply = client.get(f"{node.path}?service=my-loans&lang=en&answer=&answer={answer}")
        assert reply.status_code == 303
        expected = f"{BASE}{sign_up_questions.NODES[following].path}?service=my-loans&lang=en"
        assert reply.headers["Location"] == expected


@pytest.mark.parametrize(("spoken", "error"), [("en", "Error: "), ("da", "Fejl: ")])
@pytest.mark.parametrize("answer", ["", "answer=&answer=", "answer=maybe", "answer=yes&answer=no", "answer=%00<b>"])
def test_without_an_answer_the_page_says_so(client: FlaskClient, answer: str, spoken: str, error: str) -> None:
    """Nothing, something unknown and two answers are 422, said in title, summary and field, with nothing lost."""
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


def test_the_first_visit_is_no_error(client: FlaskClient) -> None:
    """Without an answer in the query the page asks, and preselects nothing."""
    reply = client.get("/sign-up?lang=en")
    assert reply.status_code == 200
    assert "data-problem" not in reply.text
    assert "checked" not in reply.text
    assert "<legend><h1>Where do you study or work?</h1></legend>" in reply.text


@pytest.mark.parametrize(
    ("spoken", "labels"),
    [
        ("en", ["Student (at Aarhus University)", "Employee (at Aarhus University)",
                "Employee (at Aarhus University Hospital)", "Private user (sign up with MitID)"]),
        ("da", ["Studerende (på Aarhus Universitet)", "Ansat (på Aarhus Universitet)",
                "Ansat (på Aarhus Universitetshospital)", "Privat bruger (opret dig med MitID)"]),
    ],
)  # fmt: skip
def test_the_first_page_offers_four_affiliations(client: FlaskClient, spoken: str, labels: list[str]) -> None:
    """The four labels stand in this order, each with a hint (R06)."""
    page = client.get(f"/sign-up?lang={spoken}").text
    assert re.findall(r"<label[^>]*>([^<]*)</label>", page) == labels
    assert page.count('id="hint-') == 4


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_back_its_name_and_no_dead_link(client: FlaskClient, path: str, spoken: str) -> None:
    """Back leads to the page before (R46), and every link of our own is answered, its anchor too."""
    page = client.get(f"{path}?lang={spoken}&service=my-loans").text
    name = next((each.name for each in sign_up_questions.NODES.values() if each.path == path), "faq")
    assert f'data-step="sign-up" data-reason="{name}"' in page
    assert page.count("<h1") == 1
    assert f'<html lang="{spoken}">' in page
    assert len(page.encode()) < 60_000
    back = sign_up_questions.NODES[name].back if name in sign_up_questions.NODES else "start"
    expected = f'class="back"><a href="{sign_up_questions.NODES[back].path}?' if back else ""
    assert expected in page
    assert ('class="back"' in page) is bool(back)
    for href in links(page):
        address = urlsplit(href)
        if address.netloc or address.path in ELSEWHERE:
            continue
        found = client.get(href) if address.path else client.get(f"{path}?lang={spoken}")
        assert found.status_code == 200, href
        assert not address.fragment or f'id="{address.fragment}"' in found.text, href


@pytest.mark.parametrize("path", PATHS)
def test_the_service_is_carried_through_every_link(client: FlaskClient, path: str) -> None:
    """Who came from a service keeps it on every way, to the login too; one that is unknown is dropped."""
    known = client.get(f"{path}?service=my-loans").text
    own = [each for each in links(known) if each.startswith("/") and each != sign_up_questions.CHOICES]
    assert own
    assert [each for each in own if dict(parse_qsl(urlsplit(each).query)).get("service") != "my-loans"] == []
    assert 'href="?service=my-loans&amp;lang=' in known
    unknown = client.get(f"{path}?service=evil").text
    assert "evil" not in unknown
    assert "service=" not in unknown


def test_ends_begin_the_right_login(client: FlaskClient) -> None:
    """Each end's button carries its affiliation as the intent, and the configured upstream (R03-R10, R15)."""
    setting = replace(SETTING, university="hub", national_eid="eid")
    client = signup_site(setting=setting).test_client()
    begin = "/sign-up/begin?affiliation="
    pin = ["/pin", "/pin?change=hub"]
    expected = {
        "student.pin": [*pin, f"{begin}student&upstream=hub"],
        "employee.pin": [*pin, f"{begin}employee&upstream=hub"],
        "hospital.login": [f"{begin}hospital&upstream=hub"],
        "hospital.kaldemail": [f"{begin}hospital&upstream=eid"],
        "private.eid": [f"{begin}private&upstream=eid"],
    }
    found = {
        node.name: [
            each for each in links(client.get(node.path).text) if each.startswith(("/pin", sign_up_questions.BEGIN))
        ]
        for node in sign_up_questions.NODES.values()
    }
    assert {name: each for name, each in found.items() if each} == expected


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("path", [each.path for each in sign_up_questions.NODES.values() if each.actions])
def test_every_login_is_explained_beside_its_button(client: FlaskClient, path: str, spoken: str) -> None:
    """What WAYF or the national eID is stands one link away from each button that leads there (R43, R45)."""
    page = client.get(f"{path}?lang={spoken}").text
    for name, rest in re.findall(r'data-action="(\w+)">(.*?)</div>', page, re.DOTALL):
        assert (f"#{WAY[name]}" in rest) if name in WAY else ("#" not in rest)


def test_the_order_of_the_kaldemail_is_a_list(client: FlaskClient) -> None:
    """Four steps, numbered, before the button (R15, R18)."""
    page = client.get("/sign-up/hospital/kaldemail?lang=en").text
    steps = page.partition("<ol>")[2].partition("</ol>")[0]
    assert steps.count("<li>") == 4
    assert 'href="https://bsk.rm.dk"' in steps
    assert page.index("</ol>") < page.index("data-action")


def test_the_danish_page_is_announced_as_danish(client: FlaskClient) -> None:
    """From an English page the Danish guide is marked as Danish, and our own page stands beside it (R37)."""
    english, danish = (client.get(f"/sign-up/faq?lang={each}").text for each in LANGUAGES)
    assert f'href="{LINKS["faq_hospital_da"].en}" hreflang="da" lang="da">' in english
    assert f'href="{LINKS["faq_hospital_da"].da}">' in danish
    assert 'href="/sign-up/hospital?lang=en"' in english


def test_the_answers_stand_under_their_anchors(client: FlaskClient) -> None:
    """Thirteen headings in order, each reached from the list above."""
    page = client.get("/sign-up/faq").text
    assert re.findall(r'<h2 id="([^"]+)"', page) == list(sign_up_questions.ANCHORS)
    assert all(f'href="#{each}"' in page for each in sign_up_questions.ANCHORS)


def test_back_from_the_answers_leads_to_the_page_that_linked(client: FlaskClient) -> None:
    """What WAYF is can be read in the middle of signing up; a page there is not leads to the start."""
    opened = next(each for each in links(client.get("/sign-up/hospital/login").text) if each.endswith("#wayf"))
    page = client.get(opened).text
    assert 'class="back"><a href="/sign-up/hospital/login">' in page
    assert 'href="?from=hospital.login&amp;lang=en"' in page
    assert 'class="back"><a href="/sign-up">' in client.get("/sign-up/faq?from=//evil.example").text


def test_an_error_survives_the_change_of_language(client: FlaskClient) -> None:
    """The other language shows the same error, and the service is kept."""
    page = client.get("/sign-up/hospital?service=my-loans&answer=maybe&lang=da").text
    switch = unescape(next(each for each in HREF.findall(page) if "lang=en" in each))
    assert switch == "?service=my-loans&lang=en&answer="
    assert client.get(f"/sign-up/hospital{switch}").status_code == 422


def test_a_link_that_nobody_configured_leaves_its_words() -> None:
    """The sentence stays whole; only the link is missing."""
    page = signup_site(setting=replace(SETTING, links={})).test_client().get("/sign-up/student/temporary?lang=en").text
    assert "service location" in words(page)
    assert "library.example" not in page.partition("<main")[2].partition("</main>")[0]


@pytest.mark.parametrize("name", ["NemID", "<b>&"])
def test_the_national_eid_has_its_configured_name(name: str) -> None:
    """The name stands where the texts want it, escaped, and the default name nowhere else than in its history."""
    client = signup_site(setting=replace(SETTING, eid_name=Text(name, name))).test_client()
    page = client.get("/sign-up/private?lang=en").text
    assert "MitID" not in page
    assert "{eid}" not in page
    assert "<b>" not in page
    assert ("NemID" if name == "NemID" else "&lt;b&gt;&amp;") in page


def test_was_leads_to_the_accessibility_statement() -> None:
    """The short address is a redirect to the statement, and not found where there is none."""
    assert usual_site().test_client().get("/was").headers["Location"] == STATEMENT
    assert usual_site().test_client().get("/was").status_code == 303
    assert signup_site(accessibility="").test_client().get("/was").status_code == 404


def test_below_a_path_every_address_is_below_it() -> None:
    """A broker mounted beside another application stays in its own folder."""
    client = signup_site("https://library.example/broker/").test_client()
    assert client.get("/sign-up?answer=student").headers["Location"] == "https://library.example/broker/sign-up/student"
    for path in PATHS:
        own = [each for each in links(client.get(path).text) if each.startswith("/")]
        assert [each for each in own if not each.startswith("/broker/")] == []


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
    """Whatever the query says, an answer is a page or a redirect to a page of the tree below base_url (CWE-601)."""
    reply = CLIENT.get(path, query_string=query, headers={"Host": "evil.example"})
    assert reply.status_code in {200, 303, 422}
    if reply.status_code == 303:
        location = urlsplit(reply.headers["Location"])
        assert f"{location.scheme}://{location.netloc}" == BASE
        assert location.path in PATHS
        assert dict(parse_qsl(location.query)).keys() <= {"service", "lang"}


CLIENT = usual_site().test_client()


def test_a_slash_at_the_end_is_forgiven() -> None:
    """People type one; what came along is carried on, and nothing else."""
    client = usual_site().test_client()
    answer = client.get("/sign-up/?service=my-loans&lang=en&x=//evil.example")
    assert (answer.status_code, answer.location) == (303, f"{BASE}/sign-up?service=my-loans&lang=en")
    assert client.get("/sign-up/").location == f"{BASE}/sign-up"

"""R15 to R19 and R37: what makes somebody an employee of the hospital, and the way there."""

from datetime import timedelta
from urllib.parse import urlsplit

from broker.adapters.web.sign_up.sign_up_links import FAQ
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, find_text, mark
from tests.plugins.mailbox_proof_bench import different_code
from tests.plugins.signup_pages import PAGES
from tests.walks.requirements.people import DORTE, EVA, elsewhere
from tests.walks.requirements.visits import (
    action,
    answer_sign_up,
    borrower,
    borrowers,
    code_to,
    count_creates,
    finish_login,
    links,
    log_in,
    mail_to,
    open_library,
    open_library_page,
    proof,
    prove_mailbox,
    receive_landing,
    sign_up,
    texts,
    visitor,
    words,
)

_NURSE = "dorte@auh.rm.dk"
_DOMAINS = ("auh.rm.dk", "aarhus.rm.dk", "skejby.rm.dk", "ps.rm.dk")
_REFUSED = (
    "",
    "x@auh.rm.dk.evil.com",
    "x@sub.auh.rm.dk",
    '"x@auh.rm.dk"@evil.com',
    "x@rm.dk",
    "x@auh.rm.dk.",
    "x@xauh.rm.dk",
    "Dorte <x@auh.rm.dk>",
    "x@auh.rm.dk, y@evil.com",
    '"x y"@auh.rm.dk',
    "x@\u0430uh.rm.dk",
    "x@evil.com@auh.rm.dk",
)


def r15(deployment: Deployment) -> None:
    """Show the page about the kaldemail before the eID login, and let no login past the proof in silence."""
    for language, label in (("en", "I have a kaldemail"), ("da", "Jeg har en kaldemail")):
        person = visitor(deployment, language)
        question = answer_sign_up(person, "hospital")
        assert not any("/sign-up/begin" in each for each in links(question))
        leaf = answer_sign_up(person, "hospital", "no")
        assert mark(leaf) == ("sign-up", "hospital.kaldemail")
        assert texts(leaf, "//a[@data-action]") == [label]
    away = person.get(action(leaf, "login_eid_hospital"))
    page = person.return_from_hub(away.location, DORTE)
    assert mark(page) == ("proof", "kaldemail")
    assert all("kaldemail" in each for each in texts(page, "//h1 | //label[@for='address']"))
    [how] = [each for each in links(page) if urlsplit(each).path == PAGES["hospital.kaldemail"].address]
    back = find_text(person.get(how), "//div[@class='notice']//a/@href")
    assert mark(person.get(back)) == ("proof", "kaldemail")
    printing = visitor(deployment)
    begun = printing.get(f"{action(leaf, 'login_eid_hospital')}&service=myprint")
    asked = printing.return_from_hub(begun.location, EVA)
    [how] = [each for each in links(asked) if urlsplit(each).path == PAGES["hospital.kaldemail"].address]
    assert action(printing.get(how), "login_eid_hospital").endswith("service=myprint")
    transaction = page.request.path.removesuffix("/proof")
    for path in ("", "/consent", "/upgrade"):
        assert mark(person.get(transaction + path)) == ("proof", "kaldemail")
    assert borrowers(deployment, DORTE) == []
    assert mark(prove_mailbox(person, page, _NURSE))[0] == "ask"


def r16(deployment: Deployment) -> None:
    """Say that only kaldemails of the Region's own net count, and believe no address without its code."""
    for language, said in (
        ("en", ("internal network of Central Denmark Region", "only kaldemails made on that network are valid")),
        ("da", ("Region Midtjyllands interne netværk", "kun kaldemails, der er oprettet på det netværk, er gyldige")),
    ):
        text = words(answer_sign_up(visitor(deployment, language), "hospital", "no"))
        assert all(each in text for each in said)
    person = visitor(deployment)
    page = proof(person, sign_up(person, DORTE, "hospital"), "mail", address=_NURSE)
    code = code_to(deployment, _NURSE)
    wrong = proof(person, page, "code", code=different_code(code))
    assert (wrong.status_code, mark(wrong)[0]) == (422, "proof")
    assert borrowers(deployment, DORTE) == []
    done = finish_login(person, proof(person, wrong, "code", code=code))
    assert find_text(done, "//main//@data-affiliation") == "hospital"


def r17(deployment: Deployment) -> None:
    """Exactly four domains count, any case; the code works within thirty minutes."""
    person = visitor(deployment)
    first = sign_up(person, DORTE, "hospital")
    assert texts(first, "//main//ul[1]/li") == [f"@{each}" for each in _DOMAINS]
    without_at = proof(person, first, "mail", address="dorteauh.rm.dk")
    assert "We cannot use this email address" in words(without_at)
    for address in _REFUSED:
        refused = proof(person, first, "mail", address=address)
        assert (address, refused.status_code, mark(refused)[0]) == (address, 422, "proof")
    assert deployment.mailbox.mails() == ()
    # One person gets three codes a day: the fourth domain is the next person's.
    for number, domain in enumerate(_DOMAINS[:3]):
        page = proof(person, first, "mail", address=f"n{number}@{domain.upper() if number else domain}")
        assert page.status_code == 200
        assert mail_to(deployment, f"n{number}@{domain}").recipients == (f"n{number}@{domain}",)
    code = code_to(deployment, f"n2@{_DOMAINS[2]}")
    assert mark(finish_login(person, proof(person, page, "code", code=code))) == ("done", "created")
    late, slow = visitor(deployment), visitor(deployment)
    page = proof(late, sign_up(late, EVA, "hospital"), "mail", address=f"LATE@{_DOMAINS[3]}")
    code = code_to(deployment, f"LATE@{_DOMAINS[3]}")
    deployment.clock.ahead = timedelta(minutes=31)
    assert proof(late, page, "code", code=code).status_code == 410
    assert borrowers(deployment, EVA) == []
    assert mark(finish_login(slow, slow.get("/sign-up")))[0] == "sign-up"


def r18(deployment: Deployment) -> None:
    """List four steps to a kaldemail in order, with Citrix, the Region's address and both buttons in them."""
    steps = {
        "en": ("Citrix", "My data", "@skejby.rm.dk", "Create “kaldemail”"),
        "da": ("Citrix", "Mine data", "@skejby.rm.dk", "Opret ”kaldemail”"),
    }
    for language, marks in steps.items():
        page = visitor(deployment, language).get(PAGES["hospital.kaldemail"].address)
        items = texts(page, "//main//ol/li")
        assert len(items) == len(marks)
        assert all(each in item for each, item in zip(marks, items, strict=True))
        assert "kaldemail" in items[1].lower()
        assert texts(page, "//main//ol/li[1]//a/@href") == ["https://bsk.rm.dk"]
        assert all(f"@{domain}" in items[2] for domain in _DOMAINS)


def r19(deployment: Deployment) -> None:
    """Hospital is the national eID and a proved kaldemail, both; either alone is private."""
    both, alone = visitor(deployment), visitor(deployment)
    page = finish_login(both, prove_mailbox(both, sign_up(both, DORTE, "hospital"), _NURSE))
    assert find_text(page, "//main//@data-affiliation") == "hospital"
    kim = persona("kim")
    page = finish_login(alone, proof(alone, sign_up(alone, kim, "hospital"), "without"))
    assert find_text(page, "//main//@data-affiliation") == "private"
    assert [borrower(deployment, each)["category_id"] for each in (DORTE, kim)] == ["HOSPITAL", "PRIVATE"]
    # The journals are the hospital's and not the private users', so that they tell who somebody is.
    cases = {
        "eID and kaldemail": (DORTE, True),
        "eID alone": (kim, False),
        "kaldemail alone": (elsewhere(DORTE, "affiliate@au.dk", "dorte"), False),
        "neither": (persona("lars"), False),
    }
    for case, (who, let_in) in cases.items():
        person = visitor(deployment)
        page = log_in(person, who, "e-resources")
        if let_in:
            assert (case, receive_landing(person, page).attributes) == (case, {"kaldemail_domain": ("auh.rm.dk",)})
        else:
            assert (case, mark(page)) == (case, ("refuse", "no_policy_for_service"))
    assert count_creates(deployment) == 2


def r37(deployment: Deployment) -> None:
    """Lead from the English answer about the hospital to the Danish page, marked as Danish; our pages speak both."""
    person = visitor(deployment)
    link = "//section[h2[@id='hospital']]//a[@hreflang='da']"
    faq = person.get(FAQ)
    assert texts(faq, f"{link}/@lang") == ["da"]
    address = find_text(faq, f"{link}/@href")
    assert find_text(open_library_page(open_library(deployment)[0], address), "//html/@lang") == "da"
    assert texts(visitor(deployment, "da").get(FAQ), "//section[h2[@id='hospital']]//a/@href")
    for node in ("hospital.mitau", "hospital.login", "hospital.kaldemail"):
        pages = [person.get(f"{PAGES[node].address}?lang={language}") for language in ("en", "da")]
        assert [find_text(page, "//html/@lang") for page in pages] == ["en", "da"]
        assert words(pages[0]) != words(pages[1])
        other = find_text(pages[0], "//header//a[@hreflang='da']/@href")
        assert find_text(person.get(PAGES[node].address + other), "//html/@lang") == "da"
    assert answer_sign_up(person, "hospital").request.path == urlsplit(PAGES["hospital.mitau"].address).path

"""The report of the shipped policies: what services and the library system receive."""

from tests.plugins.sample_report import build_sample_report


def test_a_service_is_listed_with_what_it_can_get() -> None:
    """A service without controller or key receives no CPR number."""
    report = build_sample_report()
    names = {(each.service, listed.name) for each in report.disclosures.releases for listed in each.attributes}
    assert ("my-loans", "cpr") in names
    assert {service for service, name in names if name == "cpr"} == {"my-loans"}
    assert [service.name for service in report.receiving] == ["my-loans", "myprint", "e-resources"]
    assert [service.name for service in report.receiving if not service.encrypts] == ["myprint"]
    assert report.disclosures.to(report.services[-1].name) == ()


def test_the_terms_are_those_of_the_login() -> None:
    """Consent asks, the rest informs; an account is made where the entry says so; a proof is named."""
    by_pair = {(each.service, each.affiliation): each for each in build_sample_report().disclosures.releases}
    loans = by_pair["my-loans", "student"]
    assert (loans.told, loans.account, list(loans.upstreams)) == ({"ask"}, True, ["wayf", "library"])
    prints = by_pair["myprint", "student"]
    assert (prints.told, prints.account) == ({"inform"}, False)
    assert "kaldemail" in by_pair["my-loans", "hospital"].proofs


def test_the_library_system_receives_each_affiliation() -> None:
    """Category and fields, by which ways; the private account is made by the national eID and lowered by others."""
    written = {each.policy.affiliation: each for each in build_sample_report().disclosures.borrowers}
    assert set(written) == {"student", "employee", "hospital", "private"}
    private = written["private"]
    assert (private.rule.category, private.makes, private.services) == ("PRIVATE", True, {"my-loans"})
    assert [each.name for each in private.fields] == ["surname", "firstname", "email"]

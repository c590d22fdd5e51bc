"""The entity categories of REFEDS and the attributes of each at most."""

from broker.core.policy.decision import BUNDLES, CODE_OF_CONDUCT


def test_a_category_has_the_attributes_of_its_specification() -> None:
    """Home and role in each, a level but in the anonymous one, names in the personalized one, and nothing else."""
    home_and_role = {"schacHomeOrganization", "eduPersonScopedAffiliation"}
    assured = home_and_role | {"eduPersonAssurance"}
    assert dict(BUNDLES) == {
        "https://refeds.org/category/anonymous": home_and_role,
        "https://refeds.org/category/pseudonymous": assured | {"pairwise-id"},
        "https://refeds.org/category/personalized": assured | {"subject-id", "displayName", "gn", "sn", "mail"},
    }


def test_the_code_of_conduct_has_no_attributes_of_its_own() -> None:
    """A service under it gets what its metadata requires and a policy lists."""
    assert CODE_OF_CONDUCT == "https://refeds.org/category/code-of-conduct/v2"
    assert CODE_OF_CONDUCT not in BUNDLES

"""How the parts of a registered address become one line of a letter."""

import pytest

from broker.core.borrowers.registered_person import street_line


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("Prøvevej", "012B", "02", "th"), "Prøvevej 12B, 2. th"),
        (("Prøvevej", "1", "st", "0004"), "Prøvevej 1, st. 4"),
        (("Prøvevej", "1", "kl.", ""), "Prøvevej 1, kl."),
        (("Prøvevej", "1", "", "tv"), "Prøvevej 1, tv"),
        (("Prøvevej", "", "", ""), "Prøvevej"),
        (("", "1", "2", "th"), ""),
    ],
)
def test_the_line_is_as_a_letter_has_it(parts: tuple[str, str, str, str], line: str) -> None:
    """Noughts before numbers go, floors get their point, parts that are empty are left out."""
    assert street_line(*parts) == line

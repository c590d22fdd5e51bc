"""Checks that the regression tests of earlier security holes still exist; HOLES lists each hole with its tests."""

import ast
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent.parent
HOLES: Final[dict[str, tuple[str, ...]]] = {
    "a guest who typed another person's CPR number sees or deletes their data, or withdraws a consent": (
        "attacks/test_guests.py::test_a_guest_gets_neither_loans_nor_a_lower_category",
        "attacks/test_guests.py::test_a_guest_withdraws_no_consent",
        "attacks/test_guests.py::test_a_guest_sees_and_deletes_nothing_of_the_person",
    ),
    "a record with my CPR number and another person's name becomes mine": (
        "attacks/test_accounts.py::test_a_record_with_her_cpr_and_another_name_is_not_hers",
        "use_cases/enrolment/test_enrolment_model.py::test_directed_sequences",
    ),
    "a person with an account without CPR number gets a second one silently": (
        "use_cases/enrolment/test_worker.py::test_possible_duplicates_are_found_before_every_create",
        "simulations/test_first_day.py::test_a_first_day_gives_everybody_their_own_account_or_a_case",
        "walks/browser/test_claim_walk.py::test_an_account_that_was_found_is_claimed_by_a_code",
    ),
    "the new holder of a user name is refused while the register of persons is on": (
        (
            "use_cases/borrowers/test_register_look_ups.py"
            "::test_a_reassigned_user_name_refuses_nobody_while_the_register_is_on"
        ),
    ),
    "the staff view opens to a user name without assurance or affiliation": (
        "use_cases/staff/test_staff_logins.py::test_a_guest_of_the_institution_is_refused",
        "use_cases/staff/test_staff_logins.py::test_the_assurance_is_at_least_that_of_the_table",
        "use_cases/staff/test_staff_logins.py::test_an_eppn_that_another_person_gets_opens_nothing",
    ),
    "a create that has no effect counts as done": (
        "use_cases/enrolment/test_enrolment_model.py::test_directed_sequences",
    ),
    "a wrong birth date in the library system locks out a person with MitID": (
        "attacks/test_accounts.py::test_a_wrong_birth_date_locks_nobody_out",
    ),
    "100 PIN requests an hour shut out a campus": (
        "attacks/test_pins.py::test_a_hundred_requests_do_not_shut_out_a_campus",
    ),
    "staff cannot begin with a person who never got a PIN": (
        "adapters/web/staff/test_staff_cases.py::test_staff_find_a_person_by_help_code_and_by_borrower_number",
        "adapters/web/staff/test_staff_cases.py::test_a_borrower_without_a_login_gets_a_pin_mail",
    ),
    "staff see no list of cases": (
        "adapters/web/staff/test_staff_cases.py::test_an_open_case_is_listed_with_a_sentence_and_its_borrowers",
    ),
    "a page that sends a person to the library leads staff to no case": (
        (
            "adapters/web/staff/test_staff_sentences.py"
            "::test_a_page_that_sends_a_person_to_the_library_tells_staff_what_to_do"
        ),
        "walks/test_case_of_a_caller.py::test_staff_get_from_the_help_code_to_the_borrowers_and_end_the_case",
    ),
    "a four-digit PIN overwrites a staff account's password": (
        "attacks/test_pins.py::test_a_borrower_whose_category_no_policy_names_gets_no_pin",
    ),
}


@pytest.mark.parametrize("hole", HOLES)
def test_the_regression_tests_of_a_hole_exist(hole: str) -> None:
    """A test that is renamed or deleted is reported here."""
    for each in HOLES[hole]:
        path, _, name = each.partition("::")
        functions = ast.walk(ast.parse((TESTS / path).read_text()))
        assert name in {node.name for node in functions if isinstance(node, ast.FunctionDef)}, each

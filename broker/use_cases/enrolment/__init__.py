"""Enrolments: find a person's borrower, create or change it, and the cases that staff decide."""

"""Use cases over time, through ports: logins, proofs, enrolments, consents, logouts."""

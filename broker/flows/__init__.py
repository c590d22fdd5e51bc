"""The flows over time, through ports: logins, proofs, enrolments, consents, logouts."""

"""Proofs that a person gives: a mailbox of their own, a right PIN; and how often may be tried."""

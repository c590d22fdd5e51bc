"""The person behind a login: attributes, CPR numbers, names, proofs."""

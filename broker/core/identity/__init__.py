"""The person behind a login: attributes, CPR numbers, identifiers and proofs.

Read ``rights.py`` first: what makes a CPR number usable, and who may do what.
``canonical_attributes.py`` reads the attributes of an assertion, ``person_id.py`` computes the
person id.
"""

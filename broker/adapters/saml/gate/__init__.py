"""The gate that every SAML message passes first: bindings, well-formedness, schema, signatures, encryption, times."""

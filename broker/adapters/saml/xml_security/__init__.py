"""The gate that every SAML message passes first: bindings, XML, schema, signatures, encryption."""

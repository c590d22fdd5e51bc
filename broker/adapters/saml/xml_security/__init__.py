"""XML security: the checks that every SAML message passes first, signatures and encryption."""

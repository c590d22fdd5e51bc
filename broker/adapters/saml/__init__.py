"""Both SAML roles: pysaml2 writes messages, lxml and xmlsec read and verify them."""

"""Signs a message of ours and puts it into the URL or form that carries it."""

from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.adapters.saml.xml_security.algorithm_selection import SigningAlgorithms
from broker.core.saml_ports import PostForm


def signed_url(
    root: etree._Element,
    field: http_bindings.MessageField,
    destination: str,
    key: signature.SigningKey,
    by: SigningAlgorithms,
    *,
    relay_state: str | None = None,
) -> str:
    """Return the URL of HTTP-Redirect: the signature is over the query, not in the message."""
    xml = etree.tostring(root, encoding="utf-8")
    return http_bindings.redirect_url(destination, field, xml, relay_state, key, by=by.method)


def signed_form(
    root: etree._Element,
    field: http_bindings.MessageField,
    destination: str,
    key: signature.SigningKey,
    by: SigningAlgorithms,
    *,
    relay_state: str | None = None,
) -> PostForm:
    """Sign a message, and return the form of HTTP-POST that carries it."""
    signature.sign(root, key, by)
    xml = etree.tostring(root, encoding="utf-8")
    return PostForm(destination, http_bindings.post_fields(xml, field, relay_state))

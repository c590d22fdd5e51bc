"""Signs an outgoing message and puts it into a Redirect URL or a POST form."""

from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.adapters.saml.xml_security.algorithm_selection import SigningAlgorithms
from broker.core.saml_ports import PostForm


def build_signed(
    root: etree._Element,
    field: http_bindings.MessageField,
    destination: str,
    key: signature.SigningKey,
    by: SigningAlgorithms,
    *,
    by_post: bool,
    relay_state: str | None = None,
) -> str | PostForm:
    """Return the form, or the HTTP-Redirect URL, whose signature covers the query only."""
    if by_post:
        return build_signed_form(root, field, destination, key, by, relay_state=relay_state)
    xml = etree.tostring(root, encoding="utf-8")
    return http_bindings.build_redirect_url(destination, field, xml, relay_state, key, by=by.method)


def build_signed_form(
    root: etree._Element,
    field: http_bindings.MessageField,
    destination: str,
    key: signature.SigningKey,
    by: SigningAlgorithms,
    *,
    relay_state: str | None = None,
) -> PostForm:
    """Sign a message and return its HTTP-POST form."""
    signature.sign(root, key, by)
    xml = etree.tostring(root, encoding="utf-8")
    return PostForm(destination, http_bindings.build_post_fields(xml, field, relay_state))

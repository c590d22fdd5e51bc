"""The names under which WAYF sends attributes (reference attribute table), for the simulated hub."""

from typing import Final

NAMES: Final = {
    "eduPersonPrincipalName": "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
    "cn": "urn:oid:2.5.4.3",
    "gn": "urn:oid:2.5.4.42",
    "sn": "urn:oid:2.5.4.4",
    "mail": "urn:oid:0.9.2342.19200300.100.1.3",
    "eduPersonPrimaryAffiliation": "urn:oid:1.3.6.1.4.1.5923.1.1.1.5",
    "eduPersonScopedAffiliation": "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
    "organizationName": "urn:oid:2.5.4.10",
    "schacHomeOrganization": "urn:oid:1.3.6.1.4.1.25178.1.2.9",
    "schacPersonalUniqueID": "urn:oid:1.3.6.1.4.1.25178.1.2.15",
    "eduPersonAssurance": "urn:oid:1.3.6.1.4.1.5923.1.1.1.11",
    "preferredLanguage": "urn:oid:2.16.840.1.113730.3.1.39",
}

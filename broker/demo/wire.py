"""The names under which WAYF and NemLog-in send attributes (reference attribute table), for the simulated parties."""

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
    "cprUuid": "cprUuid",
}

CORE: Final = "https://data.gov.dk/model/core/"
NSIS: Final = "https://data.gov.dk/concept/core/nsis/"
# Those of NemLog-in's (OIOSAML 3) that say of a person what WAYF says by the names on the left.
EID_NAMES: Final = {
    "cn": f"{CORE}eid/fullName",
    "gn": f"{CORE}eid/firstName",
    "sn": f"{CORE}eid/lastName",
    "mail": f"{CORE}eid/email",
    "schacPersonalUniqueID": f"{CORE}eid/cprNumber",
    "eduPersonAssurance": f"{NSIS}loa",
}

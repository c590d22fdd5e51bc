"""The demo's broker.toml as texts to fill in."""

from typing import Final

TOML: Final = """\
# The demo's configuration, written anew at every start.
base_url = "{broker}"
metadata = "metadata"
policies = "policies"
attribute_maps = "attribute_maps"
keys = "keys"
accessibility_statement = "{library}/accessibility"
privacy_notice = {{ en = "{library}/privacy?lang=en", da = "{library}/privacy?lang=da" }}

[store]
url = "{store}"
accept_loss = true

[upstreams.wayf]
profile = "wayf"
entity_id = "{hub}"
attribute_map = "wayf"
label = {{ en = "University login (WAYF)", da = "Universitetslogin (WAYF)" }}
institutions = [
  {{ entity_id = "{au}", scopes = ["au.dk"], may_assert = ["cpr"], label = {au_label} }},
  {{ entity_id = "{ku}", scopes = ["ku.dk"], label = {ku_label} }},
]

{national_eid}

[upstreams.library]
profile = "library"
label = {{ en = "Library account (borrower number and PIN)", da = "Lånerkonto (lånernummer og pinkode)" }}

{services}
[sign_up]
service = "my-loans"
university = "wayf"
national_eid = "nemid"
eid_name = "NemID"

[library]
system = "koha"
mode = "live"
url = "http://127.0.0.1:{patrons}"
client_id = "broker"
client_secret = "{secret}"
library_id = "AUL"
unique_field = "userid"
cpr_attribute = "CPR"

[mail]
url = "smtp://127.0.0.1:{smtp}"
sender = "library@library.example"

[contact]
name = "Demo library"
email = "help@library.example"
phone = "+45 00 00 00 00"
dpo = "dpo@library.example"

[places]
{places}

[serve]
bind = "127.0.0.1:{port}"
workers = 2
threads = 8
"""

# The national eID, by WAYF or by NemLog-in itself; policies, services and pages name it the same.
NATIONAL_EID: Final = {
    "wayf": """\
[upstreams.nemid]
profile = "wayf"
entity_id = "{hub}"
attribute_map = "wayf"
label = {{ en = "NemID", da = "NemID" }}
institutions = [
  {{ entity_id = "{nemlogin}", aliases = ["{birk}"], scopes = ["sikker-adgang.dk"], may_assert = ["cpr"] }},
]
""",
    "direct": """\
[upstreams.nemid]
profile = "oiosaml3"
entity_id = "{eid}"
label = {{ en = "NemID", da = "NemID" }}
institutions = [{{ entity_id = "{eid}", may_assert = ["cpr"] }}]
""",
}

# Keys of [places], and where at the library each leads.
PLACES: Final = {
    "service_locations": "locations",
    "e_resources": "e-resources",
    "my_loans": "my-loans",
    "search_engine": "search",
    "subject_guides": "subject-guides",
    "databases": "databases",
    "faq_hospital_da": "hospital-da",
}

SERVICE: Final = """\
[services.{name}]
entity_id = "{entity_id}"
methods = {methods}
label = {{ en = "{en}", da = "{da}" }}
url = {{ en = "{library}/{name}?lang=en", da = "{library}/{name}?lang=da" }}
controller = {{ en = "Royal Danish Library", da = "Det Kgl. Bibliotek" }}
"""

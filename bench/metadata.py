"""Measures how long a signed feed of ten thousand entities takes to verify and read, and how much memory at the peak.

    python -m bench.metadata ROW FOLDER

Each row runs in a separate process, so that memory is not inherited; the yardstick is lxml's iterparse of the
same file, which verifies and keeps nothing.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lxml import etree

from bench.figures import Figure, Row, row
from broker.adapters.saml.feeds import aggregates
from broker.adapters.saml.xml_security import signature, xml_times
from broker.adapters.saml.xml_security.xml_names import DS, ENTITY, MD
from broker.demo.saml.key_pair import KeyPair

_ENTITIES: Final = 10_000
_WANTED: Final = "https://idp7.example/saml"
_ENTITY: Final = """<md:EntityDescriptor entityID="https://idp{n}.example/saml"><md:Extensions>\
<mdrpi:RegistrationInfo registrationAuthority="https://www.example" registrationInstant="2014-01-01T00:00:00Z"/>\
</md:Extensions>
 <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:Extensions>\
<shibmd:Scope xmlns:shibmd="urn:mace:shibboleth:metadata:1.0" regexp="false">idp{n}.example</shibmd:Scope><mdui:UIInfo>\
<mdui:DisplayName xml:lang="en">University {n}</mdui:DisplayName><mdui:DisplayName xml:lang="da">Universitet {n} æøå\
</mdui:DisplayName><mdui:Description xml:lang="en">{words}</mdui:Description></mdui:UIInfo></md:Extensions>
  {keys}<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>
  <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp{n}.example/sso"/>
 </md:IDPSSODescriptor><md:ContactPerson contactType="technical"><md:EmailAddress>mailto:tech@idp{n}.example\
</md:EmailAddress></md:ContactPerson></md:EntityDescriptor>
"""
_KEY: Final = """<md:KeyDescriptor use="{use}"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{body}\
</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
  """


def write(folder: Path, entities: int = _ENTITIES, others: str = "") -> None:
    """Write a signed feed of entities of 5 kB each, and of ``others``, and the certificate of its publisher."""
    now = datetime.now(UTC)
    publisher = KeyPair.generate("publisher", now)
    body = "\n".join(line for line in publisher.certificate.splitlines() if "CERTIFICATE" not in line)
    keys = "".join(_KEY.format(use=use, body=body) for use in ("signing", "encryption"))
    listed = "".join(_ENTITY.format(n=n, keys=keys, words="many words " * 140) for n in range(entities))
    until = xml_times.write(now + timedelta(days=7))
    xml = f"""<md:EntitiesDescriptor xmlns:md="{MD}" xmlns:ds="{DS}" xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi"
 xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" ID="_f1" validUntil="{until}">{others}
{listed}</md:EntitiesDescriptor>"""
    root = etree.fromstring(xml.encode())
    signature.sign(root, signature.SigningKey.load(publisher.key.encode(), publisher.certificate.encode()))
    (folder / "feed.xml").write_bytes(etree.tostring(root, encoding="utf-8"))
    (folder / "publisher.pem").write_text(publisher.certificate, encoding="utf-8")


def verify_feed(folder: Path) -> int:
    """Verify and read the feed as the broker does."""
    key = signature.VerifyKey.load((folder / "publisher.pem").read_bytes())
    trust = aggregates.FeedTrust((key,), timedelta(days=14), 1 << 30)
    with (folder / "feed.xml").open("rb") as stream:
        feed = aggregates.read(stream, trust, [_WANTED], datetime.now(UTC))
    assert feed.entities[_WANTED].octets
    return feed.entity_count


def parse_feed(folder: Path) -> int:
    """Parse the feed and keep nothing: the least that reading can cost."""
    count = 0
    for _, element in etree.iterparse(str(folder / "feed.xml"), tag=ENTITY):
        count += 1
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    return count


RUNS: Final = {"lxml iterparse": parse_feed, "verified and read": verify_feed}


def peak() -> int:
    """Return the peak memory of this run in MB; getrusage would count its parent's too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def run(name: str, folder: Path) -> dict[str, float]:
    """Return the CPU seconds of a run, its peak memory in MB, and what of that it added."""
    before = peak()
    cpu = time.process_time()
    RUNS[name](folder)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() - cpu + children.ru_utime + children.ru_stime
    return {"cpu": spent, "peak": peak(), "added": peak() - before}


def rows() -> Iterator[Row]:
    """Write the feed, and run every row in a separate Python process."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        for name in RUNS:
            command = (sys.executable, "-m", "bench.metadata", name, folder)
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            is_ours = RUNS[name] is verify_feed
            yield row(
                f"{_ENTITIES:,} entities, {name}",
                Figure("s CPU", found["cpu"], most=1.5 if is_ours else None),
                Figure("MB at the peak", found["peak"], most=120 if is_ours else None),
                Figure("MB of them added", found["added"]),
            )


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]))))

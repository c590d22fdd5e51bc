"""Measures how long a signed feed of ten thousand entities takes to verify and read, and how much memory at the peak.

    .venv/bin/python bench/metadata.py [--entities 10000] [--pysaml2]

Each row is a run of its own, so that none inherits memory; the yardstick is lxml's iterparse of the same file, which
verifies and keeps nothing. ``--pysaml2`` adds its metadata store, which forks the xmlsec1 program and takes half a
minute.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lxml import etree

from broker.adapters.saml.gate import signature, xml_times
from broker.adapters.saml.gate.xml_names import DS, ENTITY, MD
from broker.adapters.saml.metadata import aggregates
from broker.demo.saml.key_pair import KeyPair

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


def write(folder: Path, entities: int) -> None:
    """Write a signed feed of entities of 5 kB each, and the certificate of its publisher."""
    now = datetime.now(UTC)
    publisher = KeyPair.made("publisher", now)
    body = "\n".join(line for line in publisher.certificate.splitlines() if "CERTIFICATE" not in line)
    keys = "".join(_KEY.format(use=use, body=body) for use in ("signing", "encryption"))
    listed = "".join(_ENTITY.format(n=n, keys=keys, words="many words " * 140) for n in range(entities))
    until = xml_times.write(now + timedelta(days=7))
    xml = f"""<md:EntitiesDescriptor xmlns:md="{MD}" xmlns:ds="{DS}" xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi"
 xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" ID="_f1" validUntil="{until}">{listed}</md:EntitiesDescriptor>"""
    root = etree.fromstring(xml.encode())
    signature.sign(root, signature.SigningKey.of(publisher.key.encode(), publisher.certificate.encode()))
    (folder / "feed.xml").write_bytes(etree.tostring(root, encoding="utf-8"))
    (folder / "publisher.pem").write_text(publisher.certificate, encoding="utf-8")


def verified(folder: Path) -> int:
    """Verify and read the feed as the broker does."""
    key = signature.VerifyKey.of((folder / "publisher.pem").read_bytes())
    trust = aggregates.Trust((key,), timedelta(days=14), 1 << 30)
    with (folder / "feed.xml").open("rb") as stream:
        feed = aggregates.read(stream, trust, [_WANTED], datetime.now(UTC))
    assert feed.entities[_WANTED].octets
    return feed.size


def parsed(folder: Path) -> int:
    """Parse the feed and keep nothing: the least that reading can cost."""
    count = 0
    for _, element in etree.iterparse(str(folder / "feed.xml"), tag=ENTITY):
        count += 1
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    return count


def pysaml2(folder: Path) -> int:
    """Load the feed as pysaml2 does, which verifies it by the xmlsec1 program."""
    from saml2.config import Config  # noqa: PLC0415 - only this run pays for it
    from saml2.mdstore import MetadataStore  # noqa: PLC0415 - as above

    config = Config()
    config.xmlsec_binary = "/usr/bin/xmlsec1"
    store = MetadataStore([], config)
    store.load("local", str(folder / "feed.xml"), cert=str(folder / "publisher.pem"))
    return len(store.keys())


RUNS: Final = {"lxml iterparse": parsed, "verified and read": verified, "pysaml2": pysaml2}


def peak() -> int:
    """Return the peak memory of this run in MB; getrusage would count its parent's too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def run(name: str, folder: Path) -> None:
    """Print the seconds, CPU seconds and peak memory of a run, and the memory that it added."""
    before = peak()
    began, cpu = time.perf_counter(), time.process_time()
    count = RUNS[name](folder)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() - cpu + children.ru_utime + children.ru_stime
    seconds, most = time.perf_counter() - began, peak()
    print(f"{name:18} {count:6} entities {seconds:6.2f} s  {spent:6.2f} s CPU  peak {most:4} MB (+{most - before} MB)")


def main() -> None:
    """Write the feed, and run every row in a Python of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=10_000)
    parser.add_argument("--pysaml2", action="store_true", help="measure pysaml2's store too")
    parser.add_argument("--run", nargs=2, metavar=("ROW", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.run[0], Path(arguments.run[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), arguments.entities)
        print(f"{(Path(name) / 'feed.xml').stat().st_size / 1e6:.0f} MB")
        for row in RUNS:
            if row != "pysaml2" or arguments.pysaml2:
                subprocess.run([sys.executable, __file__, "--run", row, name], check=True)


if __name__ == "__main__":
    main()

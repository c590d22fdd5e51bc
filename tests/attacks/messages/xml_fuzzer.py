"""Searches by coverage for a message that XML security or a signature cannot stand: a process of its own, for atheris.

    python -m tests.attacks.messages.xml_fuzzer CERTIFICATE -runs=8000 SEEDS

Ends with 0 where none was found. Anything but a refusal is a find: another error, a hang, more memory than allowed, and
a message whose signature holds although what it covers is none of the seeds' assertions.
"""

import random
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import ASSERTION, RESPONSE, SIGNATURE
from broker.core.errors import MessageRefused
from tests.attacks.messages.mutations import KINDS, mutated

XML_CHECKS = [
    "broker.adapters.saml.xml_security.safe_parser",
    "broker.adapters.saml.xml_security.xml_structure_checks",
    "broker.adapters.saml.xml_security.signature_profile",
]

try:
    import atheris

    looking: AbstractContextManager[object] = atheris.instrument_imports(include=XML_CHECKS)
except ImportError:  # no wheel for this Python yet
    atheris, looking = None, nullcontext()
with looking:
    from broker.adapters.saml.xml_security import safe_parser, signature


def _said(element: "etree._Element") -> str:
    """Give what a signed element says, its signature left out."""
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    for each in list(alone.iter(SIGNATURE)):
        each.getparent().remove(each)  # type: ignore[union-attr]
    return etree.tostring(alone, method="c14n", exclusive=True).decode()


class Search:
    """What is known before it begins: the upstream's key, and everything that it has signed."""

    def __init__(self, certificate: bytes, seeds: list[bytes]) -> None:
        """Read the seeds."""
        self.keys = [signature.VerifyKey.load(certificate)]
        self.seeds = seeds
        self.true: set[str] = set()
        for raw in seeds:
            self.true.update(_said(each) for each in self._signed(raw))

    def _signed(self, raw: bytes) -> "list[etree._Element]":
        """Give the elements of a message whose signature holds."""
        try:
            root = safe_parser.parse(raw, RESPONSE)
        except MessageRefused:
            return []
        found = []
        for each in (root, root.find(ASSERTION)):
            if each is not None and each.find(SIGNATURE) is not None:
                try:
                    signature.verify(each, self.keys)
                except MessageRefused:
                    continue
                found.append(each)
        return found

    def one(self, raw: bytes) -> None:
        """Try one input."""
        for each in self._signed(raw):
            assert _said(each) in self.true, "a signature holds over what was not signed"

    def change(self, raw: bytes, most: int, seed: int) -> bytes:
        """Change an input by its structure where it is XML, else, and now and then, by its octets."""
        drawn = random.Random(seed)
        if atheris and drawn.random() < 0.3:
            return bytes(atheris.Mutate(raw, most))
        steps = [
            (drawn.randrange(KINDS), drawn.randrange(4000), drawn.randrange(400)) for _ in range(drawn.randint(1, 3))
        ]
        try:
            return mutated(raw, steps)[:most]
        except etree.XMLSyntaxError:
            return mutated(drawn.choice(self.seeds), steps)[:most]


def main() -> None:
    """Search with what the command line says."""
    program, certificate, *options = sys.argv
    seeds = [each.read_bytes() for each in sorted(Path(options[-1]).iterdir())]
    search = Search(Path(certificate).read_bytes(), seeds)
    if atheris:
        atheris.Setup([program, *options], search.one, custom_mutator=search.change)
        atheris.Fuzz()
    runs = int(options[0].partition("=")[2])
    for number in range(runs):
        search.one(search.change(seeds[number % len(seeds)], 40_000, number))
    print(f"Done {runs} runs", file=sys.stderr)  # noqa: T201 - as atheris does


if __name__ == "__main__":
    main()

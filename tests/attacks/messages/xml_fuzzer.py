"""Coverage-guided search with atheris for a message that breaks XML security. It runs in a separate process.

    python -m tests.attacks.messages.xml_fuzzer CERTIFICATE -runs=8000 SEEDS

Exits with 0 if the search finds nothing. Every result except a refusal is a finding: another exception, a timeout, too
much memory, or a signature that verifies over content that is in none of the seeds.
"""

import random
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import ASSERTION, RESPONSE, SIGNATURE
from broker.core.errors import MessageRefused
from tests.attacks.messages.mutations import KINDS, mutate

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


def _read_signed_content(element: "etree._Element") -> str:
    """Return the content of a signed element without its signature."""
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    for each in list(alone.iter(SIGNATURE)):
        each.getparent().remove(each)  # type: ignore[union-attr]
    return etree.tostring(alone, method="c14n", exclusive=True).decode()


class Search:
    """The upstream's key, and the content of all elements that it has signed."""

    def __init__(self, certificate: bytes, seeds: list[bytes]) -> None:
        """Read the seeds."""
        self.keys = [signature.VerifyKey.load(certificate)]
        self.seeds = seeds
        self.true: set[str] = set()
        for raw in seeds:
            self.true.update(_read_signed_content(each) for each in self._find_signed_elements(raw))

    def _find_signed_elements(self, raw: bytes) -> "list[etree._Element]":
        """Return the elements of a message whose signature verifies."""
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

    def try_input(self, raw: bytes) -> None:
        """Test one input."""
        for each in self._find_signed_elements(raw):
            assert _read_signed_content(each) in self.true, "a signature holds over what was not signed"

    def mutate_input(self, raw: bytes, most: int, seed: int) -> bytes:
        """Mutate an input by its XML structure. If it is not XML, and sometimes otherwise, mutate its octets."""
        drawn = random.Random(seed)
        if atheris and drawn.random() < 0.3:
            return bytes(atheris.Mutate(raw, most))
        steps = [
            (drawn.randrange(KINDS), drawn.randrange(4000), drawn.randrange(400)) for _ in range(drawn.randint(1, 3))
        ]
        try:
            return mutate(raw, steps)[:most]
        except etree.XMLSyntaxError:
            return mutate(drawn.choice(self.seeds), steps)[:most]


def main() -> None:
    """Run the search with the options of the command line."""
    program, certificate, *options = sys.argv
    seeds = [each.read_bytes() for each in sorted(Path(options[-1]).iterdir())]
    search = Search(Path(certificate).read_bytes(), seeds)
    if atheris:
        atheris.Setup([program, *options], search.try_input, custom_mutator=search.mutate_input)
        atheris.Fuzz()
    runs = int(options[0].partition("=")[2])
    for number in range(runs):
        search.try_input(search.mutate_input(seeds[number % len(seeds)], 40_000, number))
    print(f"Done {runs} runs", file=sys.stderr)  # noqa: T201 - as atheris does


if __name__ == "__main__":
    main()

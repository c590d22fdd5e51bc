"""The simulated library's information pages, which the broker's pages link to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from flask import Flask, render_template


@dataclass(frozen=True, slots=True)
class PlainPage:
    """A plain page: its title and paragraphs, English and Danish side by side."""

    title: tuple[str, str]
    lines: tuple[tuple[str, str], ...]
    hours: bool = False
    danish_only: bool = False


_MADE_UP: Final = (
    "This page is part of the demo; nothing behind it is real.",
    "Siden hører til demoen; intet bag den er virkeligt.",
)

PLACES: Final[Mapping[str, PlainPage]] = {
    "locations": PlainPage(
        ("Service locations", "Betjeningssteder"),
        (
            (
                "Bring your yellow health insurance card and another form of ID.",
                "Tag dit gule sundhedskort og en anden form for legitimation med.",
            ),
            (
                (
                    "No CPR number? Bring identification and your AU ID (au and a number). "
                    "Students also bring their student card."
                ),
                (
                    "Intet CPR-nummer? Tag legitimation og dit AU-id (au og et tal) med. "
                    "Studerende tager også studiekortet med."
                ),
            ),
        ),
        hours=True,
    ),
    "contact": PlainPage(
        ("Contact the library", "Kontakt biblioteket"),
        (
            (
                "Write to help@library.example, call +45 00 00 00 00, or come to see us.",
                "Skriv til help@library.example, ring på +45 00 00 00 00, eller mød op.",
            ),
            (
                "Give us the help code of the page that stopped you. Never send your CPR number.",
                "Oplys hjælpekoden fra den side, du ikke kom forbi. Skriv aldrig dit CPR-nummer.",
            ),
        ),
        hours=True,
    ),
    "loan-terms": PlainPage(
        ("Loan terms", "Lånevilkår"),
        (
            (
                "Students and employees keep a book for a month, private users for a fortnight.",
                "Studerende og ansatte beholder en bog i en måned, private brugere i fjorten dage.",
            ),
        ),
    ),
    "search": PlainPage(
        ("Search the library", "Søg på biblioteket"),
        (
            (
                "Here you would search books, journals and articles.",
                "Her ville du søge i bøger, tidsskrifter og artikler.",
            ),
        ),
    ),
    "subject-guides": PlainPage(
        ("Subject guides", "Fagguider"),
        (
            (
                (
                    "Guides to the literature of physics, theology and the fourteen subjects "
                    "between them."
                ),
                "Guider til litteraturen i fysik, teologi og de fjorten fag derimellem.",
            ),
        ),
    ),
    "databases": PlainPage(
        ("Databases", "Databaser"),
        (
            (
                (
                    "Three invented databases: Runebase, Fjord Statistics, and the Register of "
                    "Lost Umbrellas."
                ),
                (
                    "Tre opfundne databaser: Runebasen, Fjordstatistik og Registret over "
                    "Glemte Paraplyer."
                ),
            ),
        ),
    ),
    "hospital-da": PlainPage(
        (
            "Work at Aarhus University Hospital? (in Danish)",
            "Er du ansat på Aarhus Universitetshospital?",
        ),
        (
            (
                (
                    "Du kan oprette dig som låner med dit login til mit.au.dk. Har du ikke det, "
                    "bestiller du først en kaldemail på regionens interne net og bruger den "
                    "sammen med dit MitID."
                ),
            )
            * 2,
        ),
        danish_only=True,
    ),
    "privacy": PlainPage(
        ("Privacy notice", "Privatlivspolitik"),
        (
            (
                (
                    "The library of this demo keeps what it is sent in memory, and forgets it "
                    "when the demo ends."
                ),
                (
                    "Demoens bibliotek gemmer det, det får tilsendt, i hukommelsen og glemmer det, "
                    "når demoen slutter."
                ),
            ),
            (
                (
                    "The library's own privacy notice would be here. What the login service stores "
                    "is under Your consents and your data."
                ),
                (
                    "Her ville bibliotekets egen privatlivspolitik stå. Hvad loginservicen gemmer, "
                    "står under Dine samtykker og dine data."
                ),
            ),
        ),
    ),
    "accessibility": PlainPage(
        ("Accessibility statement", "Tilgængelighedserklæring"),
        (
            (
                (
                    "A library that uses the login service publishes its statement here. Write to "
                    "help@library.example about any obstacle that you meet."
                ),
                (
                    "Et bibliotek, der bruger loginservicen, har sin erklæring her. Skriv til "
                    "help@library.example, hvis du støder på en forhindring."
                ),
            ),
        ),
    ),
}

HOURS: Final = (
    (("The Harbour House", "Havnehuset"), "Kajgade 1", "8.00-20.00", "10.00-16.00"),
    (("The Reading Room", "Læsesalen"), "Bogvej 12", "9.00-18.00", "-"),
    (("The Hospital Library", "Hospitalsbiblioteket"), "Lægestien 4", "8.00-16.00", "-"),
)


def serve(app: Flask) -> None:
    """Add the plain pages to the library."""
    for path, page in PLACES.items():
        app.add_url_rule(f"/{path}", f"place-{path}", partial(_render_page, page))


def _render_page(page: PlainPage) -> str:
    return render_template("place.html", place=page, hours=HOURS, note=_MADE_UP)

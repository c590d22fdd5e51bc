"""The six short stories on the demo's start page, the page of the timeline, and a policy edit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Flask, redirect, render_template
from werkzeug.wrappers import Response

from broker.demo.story.timeline import Texts, Timeline


@dataclass(frozen=True, slots=True)
class Story:
    """A story: its title, what to do and see, the address where it begins, and its button.

    ``start`` may hold ``{broker}``, and a step ``{policies}``, the folder of the policy files.
    ``links`` are pages of the steps, with ``{broker}``, ``{mailbox}`` and ``{patrons}``.
    ``command`` does the same in a terminal as the button of ``edit_policy``.
    """

    title: Texts
    steps: tuple[Texts, ...]
    start: str
    button: Texts = ("Begin", "Begynd")
    command: str = ""
    links: tuple[tuple[Texts, str], ...] = ()


_MAILBOX: Final = (("The mailbox", "Mailboksen"), "{mailbox}")

STORIES: Final = (
    Story(
        ("A student gets an account and a PIN", "En studerende får konto og pinkode"),
        (
            (
                "Choose Asta Ravn at WAYF, and agree to share her information.",
                "Vælg Asta Ravn hos WAYF, og giv samtykke til at dele hendes oplysninger.",
            ),
            (
                "Choose a PIN: the link is in the welcome mail, in the mailbox.",
                "Vælg en pinkode: Linket er i velkomstmailen i mailboksen.",
            ),
            (
                "Borrow a book at the self-service machine with the CPR number 140304-4004.",
                "Lån en bog på automaten med CPR-nummer 140304-4004.",
            ),
        ),
        "/my-loans?way=wayf",
        links=(_MAILBOX, (("The self-service machine", "Automaten"), "/machine")),
    ),
    Story(
        (
            "A nurse with a kaldemail (an email address of the hospital's employees)",
            "En sygeplejerske med kaldemail (en mailadresse for hospitalets ansatte)",
        ),
        (
            (
                "Answer that you work at the hospital and have no login at mit.au.dk.",
                "Svar, at du arbejder på hospitalet og ikke har login til mit.au.dk.",
            ),
            (
                "Log in with MitID as Dorte Holm. The code for dorte@auh.rm.dk is in the mailbox.",
                "Log på med MitID som Dorte Holm. Koden til dorte@auh.rm.dk er i mailboksen.",
            ),
        ),
        "{broker}/sign-up",
        links=(_MAILBOX,),
    ),
    Story(
        ("A private user with MitID", "En privat bruger med MitID"),
        (
            (
                "Choose Eva Storgaard, and agree. The timeline shows which policy let her in.",
                "Vælg Eva Storgaard, og giv samtykke. Tidslinjen viser reglen, der gav adgang.",
            ),
        ),
        "/my-loans?way=nemid",
    ),
    Story(
        ("A student without a CPR number", "En studerende uden CPR-nummer"),
        (
            (
                "Choose Ib Waters. My loans refuses him and says what he can do.",
                "Vælg Ib Waters. Mine lån afviser ham og fortæller, hvad han kan gøre.",
            ),
            (
                (
                    "He can still read online: log in at Electronic resources with his university. "
                    "He is told what is sent, not asked."
                ),
                (
                    "Han kan stadig læse online: log på Elektroniske ressourcer med "
                    "universitetslogin. Han får at vide, hvad der sendes, men bliver ikke spurgt."
                ),
            ),
        ),
        "/my-loans?way=wayf",
    ),
    Story(
        ("An account that exists twice", "En konto, der findes to gange"),
        (
            (
                "Choose Per Toft. The desk has registered him twice: staff must decide.",
                "Vælg Per Toft. Skranken har oprettet ham to gange: personalet skal afgøre det.",
            ),
            (
                "Open the staff view as Cilla Overgaard. The case says what to correct.",
                "Åbn personalets side som Cilla Overgaard. Sagen fortæller, hvad der skal rettes.",
            ),
            (
                "Merge them on the page of borrowers, press Try again, and log in as Per again.",
                "Slå dem sammen på siden med lånere, tryk på Prøv igen, og log på som Per igen.",
            ),
        ),
        "/my-loans?way=nemid",
        links=(
            (("The staff view", "Personalets side"), "{broker}/admin"),
            (("The page of borrowers", "Siden med lånere"), "{patrons}"),
        ),
    ),
    Story(
        ("A policy is edited", "En regel bliver rettet"),
        (
            (
                (
                    "The file student.yaml says what My loans gets about a student. Take the mail "
                    "address out of it."
                ),
                (
                    "Filen student.yaml bestemmer, hvad Mine lån får at vide om en studerende. "
                    "Tag mailadressen ud af den."
                ),
            ),
            (
                (
                    "Open the line “Edits a policy” in the timeline: - is before, + is after. A "
                    "few seconds later a line says that the edit is in force. The line with "
                    "“expect” is the file's own example, which must agree."
                ),
                (
                    "Åbn linjen ”Retter en regel” i tidslinjen: - er før, + er efter. Få sekunder "
                    "senere fortæller en linje, at ændringen gælder. Linjen med ”expect” er "
                    "filens eget eksempel, som skal passe."
                ),
            ),
            (
                (
                    "Log in as Asta Ravn again: the mail address is no longer sent. The mail "
                    "address in her library account stays; another line of the file governs it."
                ),
                (
                    "Log på som Asta Ravn igen: Mailadressen bliver ikke længere sendt. "
                    "Mailadressen i hendes lånerkonto bliver stående; den styres af en anden linje "
                    "i filen."
                ),
            ),
        ),
        "/my-loans?way=wayf&force",
        ("Log in as Asta", "Log på som Asta"),
        "sed -i 's/sn, mail, eduPerson/sn, eduPerson/' {policies}/student.yaml",
    ),
)

_WITH_MAIL: Final = "sn, mail, eduPerson"
_WITHOUT_MAIL: Final = "sn, eduPerson"


def serve(app: Flask, timeline: Timeline, policies: Path, mailbox: str, patrons: str) -> None:
    """Add the page /timeline and the edit to the library, and the stories to its start page.

    ``policies`` is the folder of the policy files; ``mailbox`` and ``patrons`` are addresses of
    pages.
    """
    file = policies / "student.yaml"
    app.config["stories"] = STORIES
    app.config["sends_mail"] = lambda: _WITH_MAIL in file.read_text(encoding="utf-8")
    app.config["places"] = {"policies": policies, "mailbox": mailbox, "patrons": patrons}

    @app.get("/timeline")
    def show_timeline() -> str:
        return render_template("timeline.html", entries=timeline.list_latest())

    @app.post("/policy")
    def edit_policy() -> Response:
        """Take the mail address out of what My loans gets about a student, or put it back."""
        before = file.read_text(encoding="utf-8")
        after = before.replace(_WITH_MAIL, _WITHOUT_MAIL)
        if after == before:
            after = before.replace(_WITHOUT_MAIL, _WITH_MAIL)
        file.write_text(after, encoding="utf-8")
        lines = zip(before.splitlines(), after.splitlines(), strict=True)
        changes = [f"-{line}\n+{new}" for line, new in lines if line != new]
        timeline.add("You", "", ("Edits a policy", "Retter en regel"), text="\n".join(changes))
        return redirect("/timeline", 303)

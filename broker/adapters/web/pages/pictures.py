"""The library's own pictures on our pages: logo, favicon, and the logos of its services."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from flask import Blueprint, abort
from werkzeug.wrappers import Response

from broker.adapters.web.pages.language import base_path
from broker.adapters.web.pages.security_headers import protect

FAVICON: Final = "favicon"
OURS: Final = Path(__file__).parents[1] / "static" / "favicon.svg"
_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon"}


@dataclass(frozen=True, slots=True)
class Picture:
    """The octets of a picture and their media type."""

    octets: bytes
    mimetype: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures by name, read once.

    What a descriptor names elsewhere (mdui:Logo) is neither fetched nor linked to: another server
    would learn who is on the way to which service.
    """

    base_url: str
    by_name: Mapping[str, Picture]

    @classmethod
    def read(cls, base_url: str, files: Mapping[str, Path]) -> "Pictures":
        """Read ``files``; where none is the favicon, ours is."""
        by_name = {}
        for name, path in {FAVICON: OURS, **files}.items():
            by_name[name] = Picture(path.read_bytes(), _TYPES[path.suffix])
        return cls(base_url, by_name)

    def url(self, name: str) -> str:
        """Return the address of a picture, "" where there is none; it changes with the file."""
        picture = self.by_name.get(name)
        if picture is None:
            return ""
        digest = sha256(picture.octets).hexdigest()
        return f"{base_path(self.base_url)}/pictures/{name}?v={digest[:12]}"


def blueprint(pictures: Pictures) -> Blueprint:
    """Return ``/pictures/<name>``, and ``/favicon.ico``, which browsers ask for by themselves."""
    routes = Blueprint("pictures", __name__)

    @routes.get("/pictures/<name>")
    def show(name: str) -> Response:
        picture = pictures.by_name.get(name)
        if picture is None:
            abort(404)
        response = Response(picture.octets, mimetype=picture.mimetype)
        return protect(response, pictures.base_url, "static")

    @routes.get("/favicon.ico")
    def favicon() -> Response:
        return show(FAVICON)

    return routes

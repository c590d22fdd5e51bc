"""The pages that post a message by themselves: rendered once a look, then filled in."""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.adapters.web.pages.filled_pages import FilledPages
from broker.core.saml_ports import PostForm


@dataclass(frozen=True, slots=True)
class SelfPostingPages:
    """The pages that post a message, by their look; of a login nothing is kept."""

    filled: FilledPages

    def page(self, template: str, form: PostForm, **values: str | bool) -> str:
        """Return the page of ``template`` that posts ``form``, for the present request.

        ``values`` are the template's own, the same from login to login: names and flags. The page
        is, octet for octet, what the template gives with ``form`` and ``values``.
        """

        def given(marks: Mapping[str, str]) -> Mapping[str, object]:
            posted = {name: marks[_field(name)] for name in form.fields}
            return {"form": PostForm(marks["action"], posted), **values}

        differing = {"action": form.action}
        for name, value in form.fields.items():
            differing[_field(name)] = value
        return self.filled.page(template, tuple(values.items()), differing, given)


def _field(name: str) -> str:
    return f"field {name}"

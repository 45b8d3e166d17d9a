"""The catalogues under locale/: what they must hold, what they hold, and how they are written anew."""

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from . import code, templates
from .found import ROOT, Found

LANGUAGES = ("zh_Hans",)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # so that the same words are the same bytes
HEADER = """# Words of the console. `make messages` writes this file anew from the templates and the code;
# the translations in it are kept, and those that nothing asks for any more are dropped."""


def wanted(domain: str) -> Catalog:
    """Every text that the project says: domain django for pages, djangojs for their scripts."""
    catalogue = Catalog(domain=domain, charset="utf-8", header_comment=HEADER)
    for found in sorted(_all(domain), key=lambda one: (one.place.split(":")[0], one.text)):
        catalogue.add(
            (found.text, found.plural) if found.plural else found.text,
            locations=[(found.place.split(":")[0], None)],
            context=found.context or None,
        )
    return catalogue


def path(language: str, domain: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / f"{domain}.po"


def read(language: str, domain: str) -> Catalog:
    with path(language, domain).open("rb") as file:
        return read_po(file, locale=language, domain=domain)


def updated(language: str, domain: str) -> Catalog:
    """What is wanted, with the translations that are there. Nothing is guessed from a text that looks alike."""
    catalogue = wanted(domain)
    there = read(language, domain) if path(language, domain).exists() else Catalog()
    fresh = Catalog(locale=language, domain=domain, charset="utf-8", header_comment=HEADER, fuzzy=False)
    fresh.mime_headers  # noqa: B018  Babel fills in the plural form by reading it
    for message in catalogue:
        if message.id:
            known = there.get(message.id, message.context)
            string = known.string if known and not known.fuzzy else ""
            fresh.add(message.id, string, locations=message.locations, context=message.context, flags=message.flags)
    return fresh


def text(catalogue: Catalog) -> str:
    """A .po without dates and lines, so that it changes only where a text does."""
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=120, omit_header=True, include_lineno=False, sort_output=False)
    plural = f'"Plural-Forms: nplurals={catalogue.num_plurals}; plural={catalogue.plural_expr};\\n"'
    head = [
        HEADER,
        'msgid ""',
        'msgstr ""',
        f'"Language: {catalogue.locale}\\n"',
        '"Content-Type: text/plain; charset=utf-8\\n"',
        plural,
    ]
    return "\n".join(head) + "\n\n" + buffer.getvalue().decode()


def compiled(source: Path) -> bytes:
    """What the .mo beside a .po must be."""
    with source.open("rb") as file:
        catalogue = read_po(file, locale=source.parent.parent.name, domain=source.stem)
    catalogue.creation_date = catalogue.revision_date = LONG_AGO
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def _all(domain: str) -> Iterable[Found]:
    if domain == "djangojs":
        yield from code.scripts()
        return
    for template in templates.paths():
        yield from templates.messages(template)
    for module in code.paths():
        yield from code.messages(module)
    yield from code.runner()

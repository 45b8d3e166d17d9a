"""Writes the catalogues anew, and says what has no translation yet."""

import sys

from . import catalogue


def main() -> int:
    lacking = 0
    for language in catalogue.LANGUAGES:
        for domain in ("django", "djangojs"):
            target = catalogue.path(language, domain)
            target.parent.mkdir(parents=True, exist_ok=True)
            found = catalogue.updated(language, domain)
            target.write_text(catalogue.text(found))
            target.with_suffix(".mo").write_bytes(catalogue.compiled(target))
            for message in found:
                said = message.string if isinstance(message.string, tuple | list) else (message.string,)
                if message.id and not all(said):
                    lacking += 1
                    print(f"{target.name}: {message.locations[0][0]}: {message.id!r}")
    print(f"{lacking} texts have no translation yet" if lacking else "every text is translated")
    return 0


if __name__ == "__main__":
    sys.exit(main())

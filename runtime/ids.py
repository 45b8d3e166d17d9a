"""Numbers in text: ids of rows, and sizes in headers. Only ASCII digits count, and nothing longer than a bigint has."""

MAX_ID = 2**63 - 1


def parse_number(text: str, largest: int = MAX_ID) -> int | None:
    """Return the number that the text is in decimal digits, from 0 to `largest`; None for any other text."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))):
        return None
    number = int(text)
    return number if number <= largest else None


def parse_id(value: object) -> int | None:
    """Return the id of a row, from 1 to MAX_ID, that a text or a number is; None for anything else."""
    if isinstance(value, str):
        return parse_number(value) or None
    is_id = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ID
    return value if is_id else None  # type: ignore[return-value]

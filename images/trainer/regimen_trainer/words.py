"""Numbers as reports say them."""


def number(value: float) -> str:
    """Thousands set apart.

    >>> number(12480)
    '12,480'
    """
    return f"{value:,}"


def percent(part: float, whole: float) -> str:
    """A share with one decimal that never rounds something to nothing, or nearly all to all.

    >>> percent(1, 8), percent(1, 100_000), percent(99_999, 100_000), percent(5, 5)
    ('12.5 %', 'under 0.1 %', 'over 99.9 %', '100 %')
    """
    if part == whole:
        return "100 %" if whole else "0 %"
    share = 100 * part / max(1, whole)
    if 0 < share < 0.1:
        return "under 0.1 %"
    return "over 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun, and with its verb where `many` says how that changes.

    >>> plural(1, "row"), plural(1200, "row"), plural(2, "row is", "rows are")
    ('1 row', '1,200 rows', '2 rows are')
    """
    return f"{number(count)} {one if count == 1 else many or one + 's'}"

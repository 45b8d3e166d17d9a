"""Ages and durations in words."""

from datetime import timedelta

from django.utils.translation import gettext


def age(passed: timedelta) -> str:
    """Format an age in one unit, with the same words as static/js/page.js."""
    seconds = max(0, int(passed.total_seconds()))
    for size, words in (
        (86400, gettext("%(n)s d ago")),
        (3600, gettext("%(n)s h ago")),
        (60, gettext("%(n)s min ago")),
        (1, gettext("%(n)s s ago")),
    ):
        if seconds >= max(size, 5):
            return words % {"n": seconds // size}
    return gettext("just now")


def lasted(seconds: float | None) -> str:
    """Format a duration: 340 ms, 12.4 s, 3 min 20 s, 2 h 5 min. Hosts measure in hundredths of a second."""
    if seconds is None:
        return ""
    if seconds < 0.01:
        return gettext("under 10 ms")
    if seconds < 1:
        return gettext("%(n)s ms") % {"n": round(seconds * 1000)}
    if seconds < 60:
        return gettext("%(n)s s") % {"n": f"{seconds:.1f}"}
    if seconds < 3600:
        return gettext("%(minutes)s min %(seconds)s s") % {"minutes": int(seconds) // 60, "seconds": int(seconds) % 60}
    return gettext("%(hours)s h %(minutes)s min") % {"hours": int(seconds) // 3600, "minutes": int(seconds) // 60 % 60}

"""Terminate sessions that hold locks and wait for a silent client.

The server's own limits end a transaction that is idle. They do not end one whose client stopped while it was sending or
reading: that session is `active` and waits. Nor do they apply in a session that a pooler created. So every worker's
sweep terminates such sessions of this product.
"""

import logging

from django.db import connection

from . import limits

log = logging.getLogger(__name__)
# Only sessions of this product, by role, database and name: never a psql, dump or restore. `state_change` moves with
# every message, so a slow client is not affected.
_END = """
SELECT pid, state, pg_terminate_backend(pid) FROM pg_stat_activity a
WHERE datname = current_database() AND usename = current_user AND application_name = current_setting('application_name')
AND pid <> pg_backend_pid()
AND (backend_xid IS NOT NULL
    OR EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted))
AND ((state LIKE 'idle in transaction%%' OR state = 'active' AND wait_event_type = 'Client')
    AND state_change < clock_timestamp() - %s * interval '1 millisecond'
    OR %s > 0 AND xact_start < clock_timestamp() - %s * interval '1 millisecond')
"""


def terminate_stuck_sessions() -> int:
    """Terminate them and return their number. Do nothing on SQLite, which has no sessions."""
    if connection.vendor != "postgresql":
        return 0
    given = connection.settings_dict["OPTIONS"].get("given", {})
    bounds = limits.of_transactions(limits.chosen, limits.LATEST_VERSION, given)
    idle, whole = (int(bounds[name]) for name in ("idle_in_transaction_session_timeout", "transaction_timeout"))
    if not idle:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_END, [idle, whole, whole])
        rows = cursor.fetchall()
    for pid, state, _ in rows:
        log.warning("terminated database session %s, which held locks and was silent (%s)", pid, state)
    return len(rows)

"""The SQL that a worker runs in every round, by name. Django would take ten times as long to build these statements.

`:ids`, `:now`, `:lock` and `:closed` are replaced by text of ours (claims.py, leases.py); every value is a parameter.
tests/worker/test_statements.py looks at the plans: bound statuses use the partial indexes too.
"""

# Is anything due; has a lease run out, or is an unknown operation to be asked again; does any host belong to a team?
# Parameters: two claimable statuses of deployments; queued; running; unknown.
HAS_WORK = """
SELECT EXISTS (
    SELECT 1 FROM deployment d WHERE d.status IN (%s, %s) AND EXISTS (
        SELECT 1 FROM operation o WHERE o.deployment_id = d.id AND o.status = %s AND o.instance_id IS NOT NULL)),
EXISTS (SELECT 1 FROM operation WHERE status = %s AND lease < :now)
OR EXISTS (SELECT 1 FROM operation WHERE status = %s AND due IS NOT NULL),
EXISTS (SELECT 1 FROM asset_team)
"""

# The deployments that have a queued operation with an instance; one without an instance waits for a delete.
# Parameters: two claimable statuses of deployments; queued.
WAITING_DEPLOYMENTS = """
SELECT d.id FROM deployment d WHERE d.status IN (%s, %s) AND EXISTS (
    SELECT 1 FROM operation o WHERE o.deployment_id = d.id AND o.status = %s AND o.instance_id IS NOT NULL)
"""

# What runs now, everywhere, by deployment, service, host and jump host. Parameter: running.
IN_FLIGHT = """
SELECT o.deployment_id, d.microservice_id, o.host_id, a.jump_host_id, COUNT(*)
FROM operation o JOIN deployment d ON d.id = o.deployment_id JOIN asset a ON a.id = o.host_id
WHERE o.status = %s GROUP BY 1, 2, 3, 4
"""

# The next operations of one deployment. Parameters: the deployment, queued, how many.
NEXT_OF_DEPLOYMENT = """
SELECT o.id, o.deployment_id, d.microservice_id, o.host_id, a.jump_host_id
FROM operation o JOIN deployment d ON d.id = o.deployment_id JOIN asset a ON a.id = o.host_id
WHERE o.id IN (SELECT id FROM (
    SELECT o.id FROM operation o WHERE o.deployment_id = %s AND o.status = %s AND o.instance_id IS NOT NULL
    ORDER BY o.id LIMIT %s) h)
"""

# Those of these operations whose host is closed to their service's team. Parameters: the ids; delete, which may go on.
CLOSED = """
SELECT o.id FROM operation o JOIN deployment d ON d.id = o.deployment_id
WHERE o.id IN (:ids) AND o.action <> %s AND :closed
"""

# Those of these operations that this process owns. Parameters: the ids, the owner, running.
OWNED = """
SELECT o.id, o.fence, o.cancel_requested FROM operation o
WHERE o.id IN (:ids) AND o.owner = %s AND o.status = %s ORDER BY o.id :lock
"""

"""Requests that change what runs, from the checked value to the queue of operations. Read in this order:

`actions`: the entry points, every function that the API and the console call.
`version_change` with `changes`, `installs`: the values `VersionChange` and `Installation`, and what they start.
`selection`, `destinations`, `placement`, `environments`: which targets, versions and hosts, and within what.
`promotion`: what an environment asks of a version before that.
`preview`, `plan` with `target_rows`, `plan_token`: what would happen to each target, and whether it is what was shown.
`create`, `targets`, `skipped`, `new_instances`, `enqueue`: the deployment's row, the locks and why some are not to be
had, new instances, the operations.
`rollout` decides what starts next, as pure functions; `advance` carries it out in the database.
`control`: pause, resume, cancel, force unlock. `retries`, `reverts`, `deferred_installs`, `forgetting`: what follows.
"""

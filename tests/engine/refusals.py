"""Changes that are refused before the old version is stopped."""

from deployer.engine.codes import Code
from deployer.engine.journal import Kind

from .words import said


def refused(host, action="upgrade", old="v1", new="v2", **spec) -> str:
    """Carry out a change that must fail before the stop; return its reason, with the step's name in front."""
    before = host.tree("releases/v2", "v2")
    call = host.carry_out(action, old, new, **spec)
    assert call.end.result in ("undone", "failed"), call.said
    failed = next(event for event in call.events if event.kind is Kind.FAILED)
    assert not {"done stop", "done unlink"} & set(call.said), call.said
    assert (host.running, host.logged) == ("v1", []), "the old version was stopped"
    assert host.tree("releases/v2", "v2") == before
    # No command of the service said so: it is no `step_failed`.
    assert failed.code in (Code.NOT_READY, Code.NOT_WRITABLE, Code.DISK), failed
    return f"{failed.step}: {said(failed)}"

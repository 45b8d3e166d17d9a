"""Release trains: requests, stages, and what a person does to a train."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

_NEXT = _("Resume the train when that is mended, revert it, or cancel it.")

TEXTS: dict[str, Text] = {
    "no_such_service": Text(_("service not found")),
    "twice_in_stage": Text(_("{service} is in this stage already")),
    "too_many_stages": Text(_("must have at most {max} stages")),
    "too_many_versions": Text(_("must have at most {max} versions in all stages together")),
    "train_state.cannot_resume": Text(_("The train {train} is {status:term} and cannot be resumed.")),
    "train_state.cannot_cancel": Text(_("The train {train} is {status:term} and cannot be cancelled.")),
    "train_state.cannot_revert": Text(_("The train {train} is {status:term} and cannot be reverted.")),
    "train_stage_failed": Text(_("Stage {stage} did not succeed: {services}."), _NEXT),
    "train_stage_refused": Text(_("Stage {stage} cannot begin: {service}: {reason}"), _NEXT),
    "train_revert_failed": Text(_("Stage {stage} could not be reverted: {services}."), _NEXT),
    "train_revert_refused": Text(_("Stage {stage} cannot be reverted: {service}: {reason}"), _NEXT),
    "train_waits_for_locks": Text(_("Stage {stage} waits: {service}: {reason}")),
    "train_reverted_by": Text(_("Reverted by {who}.")),
    "instance_locked.train": Text(_("{host} is locked by another deployment.")),
    "forbidden.train_caller": Text(
        _("The account or token of {who}, who started the train, may no longer be used."),
        _("Someone who may deploy all of its services can resume the train."),
    ),
    "not_found.train_environment": Text(_("The environment {environment} was deleted.")),
    "plan_changed.train": Text(_("Instances changed that ran the version when the plan was shown.")),
}

"""The reasons that the program on a host gives: a name and values, as runner/*.sh sends them. Pure.

Their texts are in messages/texts/operations.py (`reason.NAME`). A test compares this table with the scripts.
"""

from messages import Message

from .codes import reason

VALUE = "\x1e"  # stands before each value
REASONS: dict[str, tuple[str, ...]] = {
    # steps.sh, undo.sh, recover.sh
    "journal_unwritable": (),
    "timed_out_step": ("seconds",),
    "idle": ("seconds",),
    "cancelled": (),
    "package_stopped": (),
    "exit_status": ("status",),
    "check_passes": ("status",),
    "check_fails": ("status",),
    "nothing_runs": ("status",),
    "not_passed": ("seconds", "status"),
    "stop_failed": ("status",),
    "cannot_undo": (),
    "no_start_command": (),
    "current_differs": ("found", "expected"),
    "run_died": (),
    "not_undone": ("steps",),
    "left_on_host": ("paths",),
    # prepare: run_as.sh, foresee.sh, release.sh, removal.sh
    "folder_unwritable": ("path",),
    "current_is_no_link": ("path",),
    "sticky_folder": ("path", "folder"),
    "path_unwritable": ("path",),
    "no_room": (),
    "disk_space": ("free", "needed"),
    "owned_by_another": ("path",),
    "no_sudo": ("user",),
    "no_user": ("user",),
    "user_cannot_enter": ("user", "path"),
    "user_unusable": ("user",),
    "releases_stay_open": ("user",),
    "release_gone": ("release",),
    "shared_unwritable": ("path",),
    "port_taken": ("port",),
    "shell_syntax": ("step", "said"),
    "no_program": ("step", "program"),
    "no_file": ("step", "program", "path"),
    "not_executable": ("step", "program", "path"),
    "no_interpreter": ("step", "program", "interpreter"),
    "crlf_script": ("step", "program", "interpreter"),
    # image.sh
    "no_engine": (),
    "image_there": (),
    "no_place_for_sign_in": (),
    # the package and the releases: steps.sh, release.sh, fetch.sh
    "already_there": (),
    "no_pipes": (),
    "other_sha256": ("found", "expected"),
    "tar_failed": ("status", "free"),
    "package_unsearchable": (),
    "link_outside": ("name",),
    "special_file": ("name",),
    "removed": ("releases",),
    "not_all_moved": (),
    "fetched": (),
    "jump_host_refused": ("said",),
    "not_fetched_disk": ("free",),
    "not_fetched_tool_missing": (),
    "not_fetched_package_differs": (),
    "not_fetched_silent": (),
    "not_fetched_failed": ("tool", "status"),
}


def parse(text: str) -> Message | None:
    """Return the reason that stands in a journal's detail; None where it is a sentence (of a program of an older
    version) or nothing."""
    name, *values = text.split(VALUE)
    names = REASONS.get(name)
    if names is None:
        return None
    return reason(name, **dict(zip(names, [*values, *[""] * len(names)], strict=False)))


def with_output(why: Message | str, said: str) -> Message | str:
    """Return the reason with the line of output that names the cause; a command printed it, so it is data."""
    if not said:
        return why
    return Message("reason.with_output", {"reason": why, "said": said}) if why else said

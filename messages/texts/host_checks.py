"""What a host check finds beyond what operations meet too (deployer/engine/probe.py)."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

_CHECKS = {
    "no_command": Text(
        _("The login succeeds, but no command runs."), _("Give the user a POSIX shell, and remove ForceCommand.")
    ),
    "tools_missing": Text(
        _("Missing on the host: {tools}."), _("Install util-linux, coreutils, tar and gzip on the host.")
    ),
    "sudo_fails": Text(
        _("sudo -n asks for a password or does not exist."), _("Add a NOPASSWD rule for sh to sudoers for {user}.")
    ),
    "base_path_unwritable": Text(
        _("{path} cannot be created or written."), _("Create it on the host, owned by {user}.")
    ),
    "incomplete": Text(
        _("The host did not answer all questions in time."), _("Check the host’s load and whether its disks respond.")
    ),
    "shell_not_ready": Text(
        _("The login shell did not start a command in time."),
        _(
            "Check again: the next check waits longer, and operations wait a minute or more. Check /etc/profile, "
            "~/.profile and ~/.bashrc, and whether a menu or a forced command waits for input."
        ),
    ),
    # Warnings
    "legacy_in_use": Text(_("The connection uses weak legacy algorithms: {algorithms}. Update the SSH server.")),
    "legacy_not_needed": Text(_("Legacy algorithms are not needed: turn legacy_algorithms off for this host.")),
    "run_as_unusable": Text(
        _(
            "sudo -n -u {user} does not work: services that run as this user cannot be deployed here. Create the user, "
            "and allow it in sudoers."
        )
    ),
    "logind_kills": Text(
        _("logind ends what {user} leaves running (KillUserProcesses): run `loginctl enable-linger` for this user.")
    ),
    "little_disk_space": Text(_("Only {free} MiB are free on the disk.")),
    "cannot_serve_packages": Text(_("The host cannot serve packages to the hosts behind it: {reason}.")),
    "cannot_fetch_packages": Text(_("The host cannot fetch packages from its jump host: {reason}.")),
    "shell_prints": Text(
        _(
            "The login shell prints {count} bytes before every command, such as: {said}. They are left out of the "
            "output of operations, and break scp and rsync: print them in interactive shells only."
        )
    ),
    "shell_slow": Text(
        _(
            "The login shell takes {seconds} s to start a command, and every operation waits for it: check "
            "/etc/profile, ~/.profile and ~/.bashrc."
        )
    ),
}

TEXTS: dict[str, Text] = {f"host_check.{name}": text for name, text in _CHECKS.items()}

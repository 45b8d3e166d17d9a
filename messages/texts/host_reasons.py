"""Reasons inside the errors of operations and hosts: what the engine found, and what the program on a host sent."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..text import Text

_REASONS: dict[str, str | Promise] = {
    # The state that an operation leaves
    "nothing_changed": _("Nothing was changed on the host."),
    "progress_unknown": _("How far the operation came on the host is not known."),
    "undone": _("The finished steps were undone."),
    "not_undone": _("Not undone: {steps}."),
    # The connection
    "no_name_server": _("no name server answered for its name"),
    "unknown_name": _("its name is not known"),
    "invalid_name": _("its name is not valid"),
    "timed_out": _("it did not answer in time"),
    "silent": _("it sent nothing for {seconds} s"),
    "closed": _("it closed the connection"),
    "protocol_error": _("SSH protocol error"),
    "one_session": _("it allows no second session"),
    "no_host_key": _("it offered no host key"),
    "jump_host_cannot_connect": _("the jump host {jump} cannot connect to it"),
    "tunnel": _("a tunnel"),
    "session": _("a session"),
    "another_key_type": _("a key of another type"),
    # Logins
    "not_accepted": _("the credential was not accepted"),
    "rsa_not_accepted": _(
        "the credential was not accepted; it is an RSA key, and the host does not say that it accepts RSA signatures "
        "with SHA-2 (servers before OpenSSH 7.2 need legacy_algorithms, or a key of another type)"
    ),
    "other_methods": _("it accepts only {methods}"),
    "second_factor": _("it requires a second factor"),
    "login_ended": _("it ended the login"),
    # Credentials
    "empty_credential": _("it has neither a private key nor a password"),
    "unsupported_key": _("it is encrypted in a way, or of a type, that is not supported"),
    "unreadable_key": _("the private key cannot be read, or its passphrase is wrong"),
    "passphrase_missing": _("the private key has a passphrase, which is missing"),
    "no_private_key": _("it is not a private key"),
    "hardware_key": _("it is the handle of a key in a hardware token, which is not here"),
    "dsa_key": _("it is a DSA key, which OpenSSH no longer accepts"),
    "unused_key_type": _("it is a key of the type {kind}, which SSH does not use"),
    "putty_key": _("it is a PuTTY key (.ppk)"),
    "certificate": _("it is a certificate, which holds no private key"),
    "public_key": _("it is a public key"),
    "public_key_pem": _("it is a public key (PEM)"),
    "public_key_rfc4716": _("it is a public key (RFC 4716)"),
    "ssh2_key": _("it is a private key in ssh.com’s format (SSH2)"),
    "ssh1_key": _("it is a key of version 1 of SSH"),
    "x509_certificate": _("it is an X.509 certificate"),
    "pgp_key": _("it is a PGP key"),
    "jwk": _("it is a JSON Web Key"),
    "a_fingerprint": _("it is a fingerprint"),
    "no_end_line": _("it is a private key that was cut short: its END line is missing"),
    "no_begin_line": _("it is a private key that was cut short: its BEGIN line is missing"),
    "middle_of_key": _("it is the middle of a private key"),
    # Answers that cannot come from the plan
    "too_many_attempts": _("{count} attempts brought no progress"),
    "no_result": _("the run is over, but its result is missing"),
    "wrong_time": _("a time in it cannot be right"),
    "repeats": _("it repeats the same events"),
    "restarts": _("it restarts again and again"),
    "too_much_output": _("more output than the service’s limits allow"),
    "foreign_output": _("too much output that is not the program’s"),
    "ends_twice": _("it ends twice"),
    "unplanned_step": _("it names a step that is not in the plan"),
    "goes_on_after_end": _("it goes on after its end"),
    "unneeded_package": _("it asks for a package that it does not need"),
    "step_goes_back": _("a step goes back"),
    "steps_out_of_order": _("its steps are out of order"),
    "undos_out_of_order": _("its undos are out of order"),
    # The package in the store
    "package_unreadable": _("the package in the store cannot be read"),
    "package_damaged": _("the package in the store is damaged"),
    "package_missing": _("the package is not in the store, and the release is no longer on the host"),
    # Definitions
    "host_given_away": _("The host belongs to other teams than the service."),
    # Steps (deployer/engine/step_reasons.py)
    "failed": _("no reason was given"),
    "with_output": "{reason}: {said}",
    "several": "{reasons}",
    "journal_unwritable": _("the journal cannot be written; the disk may be full"),
    "timed_out_step": _("ended after {seconds} s"),
    "idle": _("ended after {seconds} s without output"),
    "cancelled": _("cancelled"),
    "package_stopped": _("the package stopped arriving"),
    "exit_status": _("exit status {status}"),
    "check_passes": _("exit status {status}, but its check passes"),
    "check_fails": _("exit status {status}, and its check does not pass"),
    "nothing_runs": _("exit status {status}, but the check finds nothing running"),
    "not_passed": _("did not pass within {seconds} s (exit status {status})"),
    "stop_failed": _("the stop command ended with exit status {status}"),
    "cannot_undo": _("cannot be undone"),
    "no_start_command": _("there is no start command"),
    "current_differs": _("current points at {found}, not at {expected}"),
    "run_died": _("the run died: it was killed, or the host restarted"),
    "left_on_host": _("left on the host: {paths}"),
    "folder_unwritable": _("the user cannot write in {path}"),
    "current_is_no_link": _("{path} is a file or folder, not a link to a release: move it away"),
    "sticky_folder": _("{path} belongs to another user, and the sticky bit of {folder} protects it: change its owner"),
    "path_unwritable": _("{path} cannot be written; it may belong to another user"),
    "no_room": _("no space for the files of the run; the disk or a quota may be full"),
    "disk_space": _("the disk has {free} KiB free, and {needed} KiB are needed"),
    "owned_by_another": _("cannot be removed: {path} belongs to another user"),
    "no_sudo": _("the service runs as {user}, and this host has no sudo"),
    "no_user": _("this host has no user {user}"),
    "user_cannot_enter": _("the user {user} cannot enter {path}"),
    "user_unusable": _("sudo -n -u {user} does not work for the user that deploys here"),
    "releases_stay_open": _(
        "the releases cannot be made private: the user that deploys must be root or in the group of {user}"
    ),
    "release_gone": _("{release} is gone, so a revert to it is not possible"),
    "shared_unwritable": _("{path} cannot be written by the user that deploys"),
    "port_taken": _("something already listens on port {port}"),
    "shell_syntax": _("the shell cannot read {step}: {said}"),
    "no_program": _("{step} needs {program}, which this host does not have"),
    "no_file": _("{step} needs {program}, and {path} does not exist"),
    "not_executable": _(
        "{step} needs {program}, and {path} is not executable: chmod +x it before it is packed, and check the disk for "
        "noexec"
    ),
    "no_interpreter": _("{step} needs {program}, a script for {interpreter}, which this host does not have"),
    "crlf_script": _("{step} needs {program}, a script for {interpreter}: its lines end in CR LF"),
    "no_engine": _("neither docker nor podman is installed on the host"),
    "image_there": _("the host has it already"),
    "no_place_for_sign_in": _("the host has no place for the sign-in at the registry: neither /dev/shm nor /tmp"),
    "already_there": _("already there"),
    "no_pipes": _("pipes cannot be created"),
    "other_sha256": _("the package has the sha256 {found}, not {expected}"),
    "tar_failed": _("tar failed with exit status {status}, with {free} KiB free on the disk"),
    "package_unsearchable": _("the unpacked package cannot be inspected"),
    "link_outside": _("the package contains a link that leads outside: {name}"),
    "special_file": _("the package contains a special file, or a file with a set-uid bit: {name}"),
    "removed": _("removed {releases}"),
    "not_all_moved": _("some releases could not be moved away"),
    "fetched": _("fetched from the jump host"),
    "jump_host_refused": _("the jump host did not serve it: {said}"),
    "not_fetched_disk": _("not fetched from the jump host: the disk has only {free} KiB free"),
    "not_fetched_tool_missing": _("not fetched from the jump host: this host has neither curl nor GNU wget nor nc"),
    "not_fetched_package_differs": _("not fetched from the jump host: what arrived is not the package"),
    "not_fetched_silent": _("not fetched from the jump host: nothing more arrived"),
    "not_fetched_failed": _("not fetched from the jump host: {tool} ended with exit status {status}"),
}
_GAPS = {
    "kex": _("no key exchange (the host has {theirs}; we have {ours})"),
    "keys": _("no host key algorithm (the host has {theirs}; we have {ours})"),
    "ciphers": _("no cipher (the host has {theirs}; we have {ours})"),
    "macs": _("no MAC (the host has {theirs}; we have {ours})"),
    "compression": _("no compression (the host has {theirs}; we have {ours})"),
    "logins": _("no signature for logins (the host has {theirs}; we have {ours})"),
}
_REMEDIES = {
    "algorithms": _("Update the host’s SSH server, or let its sshd_config allow {changes}."),
    "algorithms_or_legacy": _(
        "Update the host’s SSH server, or let its sshd_config allow {changes}. If neither is possible, allow legacy "
        "algorithms for this host (legacy_algorithms)."
    ),
    "key_forms": _("Use a private key in OpenSSH, PEM or PKCS#8 format (ed25519, ecdsa or rsa), and its passphrase."),
    "new_key": _("Create a new key: ssh-keygen -t ed25519."),
    "rewrite_key": _("Rewrite it: ssh-keygen -p -f KEY. If ssh-keygen cannot read the key: openssl pkey -in KEY."),
    "convert_putty": _("Convert it: puttygen KEY.ppk -O private-openssh -o KEY."),
    "convert_ssh2": _("Remove its passphrase and convert it: ssh-keygen -i -f KEY > KEY.new."),
    "convert_rfc4716": _(
        "Use the private key that belongs to it; convert one in the same format with: ssh-keygen -i -f KEY > KEY.new."
    ),
    "without_pub": _("Use the private key that belongs to it: the file without .pub."),
    "without_cert_pub": _("Use the private key that belongs to it: the file without -cert.pub."),
    "its_private_key": _("Use the private key that belongs to it."),
    "whole_file": _("Paste the whole file."),
    "key_itself": _("Paste the private key itself."),
    "begin_and_end": _("Include its BEGIN and END lines."),
}

TEXTS: dict[str, Text] = {
    **{f"reason.{name}": Text(text) for name, text in _REASONS.items()},
    **{f"gap.{name}": Text(text) for name, text in _GAPS.items()},
    **{f"remedy.{name}": Text(text) for name, text in _REMEDIES.items()},
}

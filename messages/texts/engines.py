"""Docker engines: what keeps them from being reached, and what they said. Their own words are parameters."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    "engine_away.broke_off": Text(
        _("The answer of the engine at {address} broke off."), _("Look at the engine's own log, then try again.")
    ),
    "engine_away.certificate": Text(
        _("The engine's certificate is not trusted: {reason}"),
        _("Enter the CA that signed it. The certificate must name the host of the address."),
    ),
    "engine_away.client_certificate": Text(
        _("The engine at {address} does not accept the client certificate, or misses one."),
        _("Enter a certificate and a key that the CA of the engine has signed."),
    ),
    "engine_away.closed": Text(
        _("The engine at {address} closed the connection without an answer."),
        _("If its port speaks TLS, enter the certificates or turn on TLS."),
    ),
    "engine_away.connection": Text(_("The engine at {address} cannot be reached: {reason}.")),
    "engine_away.no_engine": Text(
        _("What answers at {address} is not a Docker engine."), _("Check the address and the port.")
    ),
    "engine_away.no_socket": Text(
        _("There is no socket at {address}."), _("Start the engine on this machine, or correct the path.")
    ),
    "engine_away.not_permitted": Text(
        _("This process may not use {address}."),
        _("Add the user of the web and worker processes to the group that owns the socket, and restart them."),
    ),
    "engine_away.refused": Text(_("Nothing listens at {address}."), _("Check the address, and start the engine.")),
    "engine_away.silent": Text(
        _("The engine at {address} has sent nothing for {seconds} s."),
        _("A step that takes longer has to print something now and then."),
    ),
    "engine_away.speaks_no_tls": Text(
        _("The port of {address} does not speak TLS."), _("Turn off TLS, or correct the port (usually 2376 with TLS).")
    ),
    "engine_away.speaks_tls": Text(
        _("The port of {address} speaks TLS only."), _("Enter the certificates, or turn on TLS.")
    ),
    "engine_away.timeout": Text(_("The engine at {address} did not answer in time.")),
    "engine_away.tls": Text(_("TLS with the engine failed: {reason}.")),
    # What stands at fields of the settings.
    "certificate_archive.base64": Text(_("must be base64")),
    "certificate_archive.files": Text(_("has too many files: at most {max} are allowed")),
    "certificate_archive.incomplete": Text(_("has no {wanted} or the like; it has: {found}")),
    "certificate_archive.kind": Text(
        _("has {name} as a link, a device or outside of the archive, not as a plain file")
    ),
    "certificate_archive.no_tar": Text(_("must be a complete .tar or .tar.gz")),
    "certificate_archive.pem": Text(_("has {name}, which is not in PEM format")),
    "certificate_archive.size": Text(_("is too large: at most {max} bytes are allowed")),
    "certificate_archive.text_size": Text(_("has {name}, which is larger than {max} bytes")),
    "certificate_archive.twice": Text(_("has two files for {field}; the second is {name}")),
    "engine_address": Text(_("must be tcp://host:port or unix:///path, such as tcp://docker.example.com:2376")),
    "engine_network": Text(_("must be the name of a network of the engine, or none")),
    "engine_network_shared": Text(
        _("must not be the network of the engine's machine or of a container: builds would reach what these reach")
    ),
    "engine_socket": Text(_("must name the absolute path of a socket, such as unix:///var/run/docker.sock")),
    "engine_socket_tls": Text(_("is a socket: TLS and certificates are for tcp:// only")),
    "engine_refused": Text(_("The engine answers with status {status}: {reason}")),
    "engine_too_new": Text(
        _(
            "The engine {version} speaks version {api} of its API and none as old as {ours}, the newest that is known "
            "here."
        ),
        _("Update this system."),
    ),
    "engine_too_old": Text(
        _("The engine {version} speaks version {api} of its API; {oldest} is the oldest that is supported."),
        _("Update the engine."),
    ),
    "engine_too_old_for_secrets": Text(
        _("The engine speaks version {api} of its API; builds with secrets need {oldest}."),
        _("Update the engine, or remove the build secrets of the service."),
    ),
    "engine_network_and_secrets": Text(
        _("Builds with secrets cannot use the network {network}: with secrets, BuildKit builds, which knows no other."),
        _("Leave the network of the engine's settings empty, or set it to none."),
    ),
    "image_build_failed": Text(_("The build failed: {reason}")),
    "engine_failed": Text(_("The Docker engine: {reason}")),
    "engine_unreachable": Text(
        _("{reason}"), _("Check the Docker engine under Settings (/settings/#docker), then send the request again.")
    ),
    "engine_knows_no_image": Text(_("is {image}, which the engine cannot find: {words}")),
    "image_not_pulled": Text(
        _("The engine does not have {image}."), _("Have it pulled first: POST /api/v1/images/pull with the same image.")
    ),
    "image_pull_failed.too_long": Text(
        _("The engine has not pulled the image within {seconds} s."),
        _("Send the request again: what was loaded stays."),
    ),
    "image_pull_failed": Text(_("The engine could not pull the image: {reason}")),
    "too_many_pulls": Text(_("{max} images are being pulled already."), _("Try again in a few seconds.")),
    # What the test of the settings found.
    "probe.engine": Text(_("Engine {version} for {platform}, version {api} of its API.")),
    "probe.engine_network": Text(_("Build steps use the network {network}.")),
    "probe.engine_network_missing": Text(
        _("The engine has no network {network}."), _("Create it with docker network create, or correct the name.")
    ),
    "probe.engine_sign_in": Text(_("The engine cannot sign in at {host}: {reason}")),
    "probe.engine_signed_in": Text(_("The engine signs in at {host}.")),
    "probe.engine_trust": Text(
        _("The engine does not trust {host}: {reason}"),
        _("Put the CA of the registry into /etc/docker/certs.d/{host}/ca.crt on the engine's machine."),
    ),
    "image_push_failed": Text(_("The engine could not push the image: {reason}")),
}

"""Packages: what is wrong with an archive, and how two packages differ."""

from django.utils.translation import gettext_lazy as _

from ..text import Plural, Text

_CREATE = _(
    "Send a .tar.gz, .tar, .tar.bz2, .tar.xz or .zip archive of files, folders and links that stay inside it: "
    "tar -czf package.tar.gz -C FOLDER ."
)
_CREATE_ZIP = _("Create it with zip -r package.zip . or with tar -czf package.tar.gz -C FOLDER .")
_NOT_SPARSE = _("Pack files without --sparse: tar -czf package.tar.gz -C FOLDER .")
_RUN = _("Run: {command}")

TEXTS: dict[str, Text] = {
    # The archive as a whole.
    "bad_package.format": Text(_("Not a supported archive: this is {format}."), _RUN),
    "bad_package.compressed": Text(_("The {compression} data does not contain a tar archive, but {format}."), _RUN),
    "bad_package.truncated": Text(_("The archive ends unexpectedly."), _CREATE),
    "bad_package.trailing_data": Text(_("There is trailing data after the archive."), _CREATE),
    "bad_package.not_tar": Text(_("This is not a tar archive, or it is corrupt."), _CREATE),
    "bad_package.corrupt_stream": Text(_("This is not valid {compression} data, or it is corrupt."), _CREATE),
    "bad_package.memory": Text(
        _("Unpacking needs more than {max_mib} MiB of memory."),
        _("Create it with xz -9 or lower, or with tar -czf package.tar.gz."),
    ),
    "bad_package.bomb": Text(
        _("The unpacked size exceeds the limit of {max_gib} GiB or of {ratio} times the packed size."), _CREATE
    ),
    "bad_package.empty": Text(
        _("The archive contains no files."), _("Check that the folder that you packed contains the build result.")
    ),
    "bad_package.too_many_members": Text(
        _("The archive has more than {max} members, or too many long names."), _CREATE
    ),
    "bad_package.root_not_folder": Text(_("The root of the archive is not a folder."), _CREATE),
    "bad_package.other_service": Text(
        _("The package is in the folder of another service."), _("Publish it as another version.")
    ),
    # Its members.
    "bad_package.duplicate": Text(_("The archive contains {name} twice."), _CREATE),
    "bad_package.duplicate_in_zip": Text(_("The archive contains {name} twice."), _CREATE_ZIP),
    "bad_package.below_file": Text(_("{name} is not a folder, but the archive has members below it."), _CREATE),
    "bad_package.path": Text(_("{name} is not a valid path inside a package."), _CREATE),
    "bad_package.no_name": Text(_("A member of the archive has no name."), _CREATE),
    "bad_package.slash": Text(_("{name} ends with a slash, but it is not a folder."), _CREATE),
    "bad_package.data": Text(_("{name} has data, but it is not a file."), _CREATE),
    "bad_package.hard_link": Text(_("{name} is a hard link to {target}, which is not an earlier file."), _CREATE),
    "bad_package.link_absolute": Text(
        _("{name} is a symbolic link to the absolute path {target}."),
        _("Links must be relative and stay inside the package: ln -sr TARGET LINK."),
    ),
    "bad_package.link_outside": Text(
        _("{name} is a symbolic link that leads outside the package, to {target}."),
        _("Links must be relative and stay inside the package: ln -sr TARGET LINK."),
    ),
    "bad_package.link_target": Text(_("{name} is a symbolic link with an empty or invalid target."), _CREATE),
    "bad_package.link_loop": Text(
        _("{name} is a symbolic link that leads through more than {max} other links."), _CREATE
    ),
    "bad_package.sparse": Text(_("{name} is a sparse file."), _NOT_SPARSE),
    "bad_package.sparse_unnamed": Text(_("The archive contains a sparse file."), _NOT_SPARSE),
    "bad_package.character_device": Text(_("{name} is a character device."), _CREATE),
    "bad_package.block_device": Text(_("{name} is a block device."), _CREATE),
    "bad_package.named_pipe": Text(_("{name} is a named pipe."), _CREATE),
    "bad_package.socket": Text(_("{name} is a socket."), _CREATE),
    "bad_package.contiguous": Text(_("{name} is a contiguous file."), _CREATE),
    "bad_package.folder_list": Text(_("{name} is a folder listing of an incremental GNU tar backup."), _CREATE),
    "bad_package.volume_part": Text(_("{name} continues from another volume."), _CREATE),
    "bad_package.volume_label": Text(_("{name} is a volume label."), _CREATE),
    "bad_package.unknown_kind": Text(_("{name} is not a file, folder or link."), _CREATE),
    # tar headers.
    "bad_package.negative_size": Text(_("A member of the archive has a negative size."), _CREATE),
    "bad_package.long_name": Text(_("A long name in the archive is empty or malformed."), _CREATE),
    "bad_package.charset": Text(_("The archive has names in an unknown encoding."), _("Names must be UTF-8.")),
    "bad_package.extended_header": Text(_("An extended header is malformed."), _CREATE),
    "bad_package.extended_header_size": Text(_("An extended header is larger than {max_kib} KiB."), _CREATE),
    "bad_package.extended_header_record": Text(_("An extended header has an empty or repeated record."), _CREATE),
    "bad_package.two_extended_headers": Text(_("A member has two extended headers."), _CREATE),
    "bad_package.global_header": Text(_("A global header changes the members of the archive."), _CREATE),
    # zip.
    "bad_package.zip_overlap": Text(_("Files in the zip archive overlap or have data between them."), _CREATE_ZIP),
    "bad_package.zip_mismatch": Text(_("The zip archive's directory and its files say different things."), _CREATE_ZIP),
    "bad_package.zip_surrounding": Text(
        _("The zip archive has data in front of its files or behind its directory."), _CREATE_ZIP
    ),
    "bad_package.zip_directory": Text(_("The zip archive's directory is corrupt."), _CREATE_ZIP),
    "bad_package.zip_header": Text(_("A header of the zip archive is corrupt."), _CREATE_ZIP),
    "bad_package.zip_split": Text(_("This is one part of a split zip archive."), _CREATE_ZIP),
    "bad_package.zip_checksum": Text(
        _("{name} is corrupt: its size or checksum differs from the one in the archive."), _CREATE_ZIP
    ),
    "bad_package.zip_data": Text(_("{name} is corrupt."), _CREATE_ZIP),
    "bad_package.zip_data_end": Text(
        _("{name} is corrupt: its data does not end where the archive says."), _CREATE_ZIP
    ),
    "bad_package.zip_encrypted": Text(_("{name} is encrypted."), _CREATE_ZIP),
    "bad_package.zip_feature": Text(_("{name} uses an unsupported feature of the zip format."), _CREATE_ZIP),
    "bad_package.zip_method": Text(_("{name} uses an unsupported compression method: {method}."), _CREATE_ZIP),
    "bad_package.zip_backslashes": Text(_("{name} has backslashes instead of slashes in its name."), _CREATE_ZIP),
    "bad_package.zip_name": Text(_("The name {name} is in an unknown encoding."), _("Names must be UTF-8.")),
    "bad_package.jar": Text(
        _("This is a Java archive, which would be unpacked."), _("Run: tar -czf package.tar.gz app.jar")
    ),
    # What the bytes are instead of an archive: noun phrases for bad_package.format and bad_package.compressed.
    "format.zstd": Text(_("a Zstandard file")),
    "format.lz4": Text(_("an LZ4 file")),
    "format.lzip": Text(_("an lzip file")),
    "format.lzop": Text(_("an lzop file")),
    "format.compress": Text(_("a file made with compress")),
    "format.lzma": Text(_("an LZMA file")),
    "format.7z": Text(_("a 7-Zip archive")),
    "format.rar": Text(_("a RAR archive")),
    "format.empty_zip": Text(_("a zip archive without any file")),
    "format.split_zip": Text(_("one part of a split zip archive")),
    "format.deb": Text(_("a Debian package")),
    "format.ar": Text(_("an ar archive (a static library)")),
    "format.rpm": Text(_("an RPM package")),
    "format.cpio": Text(_("a cpio archive")),
    "format.git_lfs": Text(_("a Git LFS pointer instead of the file")),
    "format.elf": Text(_("an executable (ELF)")),
    "format.exe": Text(_("a Windows executable")),
    "format.script": Text(_("a script")),
    "format.png": Text(_("an image (PNG)")),
    "format.jpeg": Text(_("an image (JPEG)")),
    "format.gif": Text(_("an image (GIF)")),
    "format.pdf": Text(_("a PDF document")),
    "format.compressed": Text(_("{compression} data")),
    "format.zip": Text(_("a zip archive")),
    "format.empty": Text(_("an empty file")),
    "format.zeros": Text(_("a file of zeros only")),
    "format.html": Text(_("a web page (HTML), perhaps an error page of a failed download")),
    "format.xml": Text(_("an XML document")),
    "format.json": Text(_("a JSON document, perhaps an error message of a failed download")),
    "format.text": Text(_("a text file")),
    "format.unknown": Text(_("data in an unknown format, or corrupt")),
    # How two packages differ.
    "package_exists": Text(
        _("{version} already has another package, and the stored one cannot be read to compare them."),
        _("Publish it as another version."),
    ),
    "package_exists.differs": Text(
        Plural(
            "{version} already has another package, which is never replaced. {count} entry differs: {changes}.",
            "{version} already has another package, which is never replaced. {count} entries differ: {changes}.",
            "count",
        ),
        _("Publish it as another version."),
    ),
    "package_exists.another_image": Text(
        _("{version} is {old} already, which is never replaced. {given} is {new} now."),
        _("Publish it as another version, with a tag that is never moved."),
    ),
    "package_exists.is_image": Text(
        _("{version} is the image {image} already, which is never replaced by a package."),
        _("Publish it as another version."),
    ),
    "package_exists.no_image": Text(
        _("{version} already has a package that is no image, and it is never replaced."),
        _("Publish it as another version."),
    ),
    "image_or_package": Text(_("cannot be sent together with a package")),
    "image_differs": Text(_("is {new} now; {version} is {old}")),
    "has_package": Text(_("already has a package that is no image")),
    "package_changes.changed": Text(_("{count} changed ({names})")),
    "package_changes.added": Text(_("{count} added ({names})")),
    "package_changes.missing": Text(_("{count} missing ({names})")),
    "package_entry.kind": Text(_("changed: {name}: was a {old:term}, is a {new:term}")),
    "package_entry.target": Text(_("changed: {name}: links to another target")),
    "package_entry.size": Text(_("changed: {name}: was {old} bytes, is {new}")),
    "package_entry.mode": Text(_("changed: {name}: mode was {old}, is {new}")),
    "package_entry.content": Text(_("changed: {name}: same size, different content")),
    "package_entry.added": Text(_("added: {name}")),
    "package_entry.missing": Text(_("missing: {name}")),
    "package_entry.more_changed": Text(_("changed: {count} more")),
    "package_entry.more_added": Text(_("added: {count} more")),
    "package_entry.more_missing": Text(_("missing: {count} more")),
    # Uploads.
    "bad_request.content_length": Text(_("Content-Length is not a number.")),
    "too_large.package": Text(_("The package is larger than {max_gib} GiB.")),
    "incomplete.package": Text(_("The upload ended before all of its bytes arrived."), _("Send it again.")),
    "digest_mismatch": Text(
        _("The bytes that arrived do not have the digest in Content-Digest."), _("Send them again.")
    ),
    "digest_differs": Text(_("does not match the digest of the received bytes")),
    "digest_format": Text(_("must be sha-256=:BASE64:, with the base64 of 32 bytes")),
    "digest_algorithm": Text(_("must contain a sha-256 digest")),
    "not_found.version_deleted": Text(_("The version was deleted in the meantime.")),
    "build_ended": Text(
        _("The build of {version} has already ended: {status:term}."), _("Publish it as another version.")
    ),
    "unavailable.package_store": Text(_("Storing the package took too long."), _("Send it again.")),
}

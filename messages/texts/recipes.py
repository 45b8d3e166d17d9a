"""Recipes of images: what is wrong with one (microservice/catalog/recipes.py)."""

from django.utils.translation import gettext_lazy as _

from ..text import Text

TEXTS: dict[str, Text] = {
    "recipe_object": Text(_("must be a JSON object with some of: {allowed}")),
    "recipe_unknown": Text(_("is unknown here; allowed are: {allowed}")),
    "recipe_required": Text(_("is required")),
    "recipe_list": Text(_("must be a list of at most {max} entries")),
    "recipe_map": Text(_("must map at most {max} names to texts")),
    "recipe_text": Text(_("must be a text of {min} to {max} characters")),
    "recipe_value": Text(_("must not contain control characters or line breaks, but is {value}")),
    "recipe_argument": Text(_("must not contain NUL or half of a character, but is {value}")),
    "recipe_bytes": Text(_("must have at most {max} bytes as JSON")),
    "recipe_credentials": Text(
        _("must not contain a user or password in a URL, which would stay in the image's history: use a build secret")
    ),
    "recipe_apt_source": Text(
        _("must be a line such as deb [signed-by=/path] https://host/debian bookworm main, not {value}")
    ),
    "recipe_apt_package": Text(_("must be a Debian package such as curl, libc6:amd64 or curl=7.88.1-10, not {value}")),
    "recipe_pip_package": Text(_("must be a Python package such as flask or flask==3.0, not {value}")),
    "recipe_index": Text(_("must be an http or https URL, not {value}")),
    "recipe_conda_channel": Text(_("must be a channel such as conda-forge, or an http or https URL, not {value}")),
    "recipe_conda_package": Text(_("must be a conda package such as numpy or numpy=1.26, not {value}")),
    "recipe_python_version": Text(_("must be a version such as 3.12, not {value}")),
    "recipe_python_from": Text(_("must be one of: {allowed}")),
    "recipe_path": Text(
        _("must be an absolute path of letters, digits and . _ @ % + = : , - without “..”, not {value}")
    ),
    "recipe_from": Text(
        _("must be a path in the repository, or “.” for all of it, without “..” and .git, not {value}")
    ),
    "recipe_file_source": Text(_("must have either “text” or “from”")),
    "recipe_file_mode_from": Text(_("is for a “text” only: a file of the repository keeps its own")),
    "recipe_file_folder": Text(_("must be the path of a file, not of a folder")),
    "recipe_needs_repository": Text(_("needs the service's build_url: the repository that it is copied from")),
    "recipe_mode": Text(_("must be a mode such as 0644 or 0755, not {value}")),
    "recipe_user": Text(_("must be a user or user:group, as names or numbers, not {value}")),
    "recipe_port": Text(_("must be a port from 1 to 65535, such as 8080 or 53/udp, not {value}")),
    "recipe_variable": Text(_("must begin with a letter or _, followed by letters, digits and _, not {value}")),
}

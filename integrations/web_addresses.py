"""What an address of the web is: http or https, a host and a port that can be asked, and no password. Pure."""

from urllib.parse import urlsplit


def error(url: str) -> str:
    """Return the code of what is wrong with an address; "" where nothing is."""
    try:
        parts = urlsplit(url)
        has_valid_port = parts.port is None or parts.port > 0
    except ValueError:
        return "http_url"
    if parts.scheme not in ("http", "https") or not parts.hostname or not has_valid_port:
        return "http_url"
    return "url_userinfo" if "@" in parts.netloc else ""

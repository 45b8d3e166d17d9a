"""What a browser says of itself, as people say it."""

import pytest
from django.utils import translation

from console import browsers

KIT = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) {}"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (KIT.format("X11; Linux x86_64", "Chrome/141.0.0.0 Safari/537.36"), "Chrome 141 on Linux"),
        (KIT.format("Windows NT 10.0; Win64; x64", "Chrome/141.0.0.0 Safari/537.36 Edg/141.0"), "Edge 141 on Windows"),
        (KIT.format("Linux; Android 10; K", "Chrome/140.0.0.0 Mobile Safari/537.36"), "Chrome 140 on Android"),
        (KIT.format("Macintosh; Intel Mac OS X 10_15_7", "Version/18.4 Safari/605.1"), "Safari 18 on macOS"),
        (KIT.format("iPhone; CPU iPhone OS 18_4 like Mac OS X", "CriOS/141.0 Safari/604.1"), "Chrome 141 on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140 on Linux"),
        ("curl/8.5.0", "curl 8.5.0"),
        ("deployctl/1.4.0 Python/3.12", "deployctl 1.4.0"),
        ("Mozilla/5.0 (compatible; probe)", "Mozilla/5.0 (compatible; probe)"),
        ("<script>", "<script>"),
        ("", ""),
    ],
)
def test_names(agent, name):
    with translation.override("en"):
        assert browsers.name_of(agent) == name

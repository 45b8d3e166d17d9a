"""The lab's registry and token server do what the tests rely on."""

import json
import urllib.error

import pytest

from tests.lab import image_registry
from tests.lab.authority import Authority
from tests.lab.image_registry import ImageRegistry
from tests.lab.token_server import TokenServer

pytestmark = pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING)


def manifest_of(registry: ImageRegistry, name: str, tag: str, kind: str) -> dict:
    return json.loads(registry.ask("GET", f"/v2/{name}/manifests/{tag}", name=name, accept=kind)[2])


def test_images_and_indexes_over_tls_with_client_certificates(tmp_path):
    authority = Authority()
    client = authority.issue("client")
    with ImageRegistry(
        tmp_path, users={"ci": "word"}, tls=authority.issue("r"), client_ca=authority.pem, client=client
    ) as registry:
        digest = registry.push("team/shop", "1.0")
        kind = image_registry.MANIFEST
        assert manifest_of(registry, "team/shop", "1.0", kind) == manifest_of(registry, "team/shop", digest, kind)
        registry.push_index("team/shop", "2.0")
        assert len(manifest_of(registry, "team/shop", "2.0", image_registry.OCI_INDEX)["manifests"]) == 2


def test_tokens_and_read_only(tmp_path):
    with TokenServer({"robot$ci": "word"}) as tokens:
        with ImageRegistry(tmp_path, tokens=tokens) as registry:
            registry.push("team/shop", "1.0")
            port = registry.port
        with ImageRegistry(tmp_path, tokens=tokens, readonly=True, port=port) as registry:
            assert manifest_of(registry, "team/shop", "1.0", image_registry.MANIFEST)
            with pytest.raises(urllib.error.HTTPError, match="405"):
                registry.push("team/shop", "2.0")

"""How far a pull is, from what an engine says line by line. Pure."""

from typing import Any

MAX_LAYERS = 1000
_HERE = frozenset({"Pull complete", "Already exists"})
_LOADED = frozenset({"Download complete", "Verifying Checksum", "Extracting", *_HERE})


class Progress:
    """Feed it the lines; `shown` is what it comes to."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[str, int, int]] = {}  # id to (status, bytes loaded, bytes of the whole layer)

    def feed(self, line: dict[str, Any]) -> None:
        layer, status = line.get("id"), line.get("status")
        if not isinstance(layer, str) or not isinstance(status, str) or status.startswith("Pulling from"):
            return
        _, loaded, total = self._layers.get(layer, ("", 0, 0))
        detail = line.get("progressDetail") or {}
        current, whole = (detail.get(name) if isinstance(detail, dict) else None for name in ("current", "total"))
        if status == "Downloading" and isinstance(current, int):
            loaded, total = current, whole if isinstance(whole, int) else total
        elif status in _LOADED:
            loaded = total
        if layer in self._layers or len(self._layers) < MAX_LAYERS:
            self._layers[layer] = status, loaded, total

    def shown(self) -> dict[str, int]:
        """Return {"layers", "done", "loaded", "total"}: layers, and bytes of those whose size is known."""
        layers = self._layers.values()
        return {
            "layers": len(layers),
            "done": sum(status in _HERE for status, _, _ in layers),
            "loaded": sum(loaded for _, loaded, _ in layers),
            "total": sum(total for _, _, total in layers),
        }

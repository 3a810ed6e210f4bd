"""The store of activations in a few lines for the terminal."""

import shlex

from timelapse.activations.shelf import GB, Shelf


def report(shelf: Shelf) -> str:
    """What a shelf holds, how often it served, and how to clear it."""
    held = shelf.contents()
    asked = held.hits + held.misses
    share = f" ({held.hits / asked:.0%})" if asked else ""
    lines = {
        "folder": str(shelf.folder),
        "entries": f"{held.entries:,}",
        "bytes": f"{held.bytes:,} ({held.bytes / GB:.3g} GB)",
        "cap": f"{shelf.cap:,} ({shelf.cap / GB:.3g} GB)",
        "free on disk": f"{shelf.free():,} ({shelf.free() / GB:.3g} GB)",
        "hits": f"{held.hits:,}{share}",
        "misses": f"{held.misses:,}",
        "to clear": f"rm -r {shlex.quote(str(shelf.folder))}",
    }
    return "".join(f"{name:14}{value}\n" for name, value in lines.items())

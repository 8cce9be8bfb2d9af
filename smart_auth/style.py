"""The look of the house, for apps that are opened from within it (SMART App Launch 2.2, 2.1.4.2).

Its URL carries a digest of its content: when the look changes, so does the URL.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType

LOOK: Mapping[str, str] = MappingProxyType(
    {
        "color_background": "#f3f7f8",
        "color_error": "#9c2f10",
        "color_highlight": "#0b6178",
        "color_modal_backdrop": "#0b1518",
        "color_success": "#1d6b3a",
        "color_text": "#12262c",
        "dim_border_radius": "10px",
        "dim_font_size": "17px",
        "dim_spacing_size": "16px",
        "font_family_body": "system-ui, sans-serif",
        "font_family_heading": "system-ui, sans-serif",
    }
)
"""The look of the pages here, which is also that of a deployment that has set none of its own."""


def document(style: Mapping[str, str]) -> bytes:
    """Return the style document; the same look is the same bytes."""
    return json.dumps(dict(sorted(style.items())), ensure_ascii=False, separators=(",", ":")).encode()


def name(style: Mapping[str, str]) -> str:
    """Return what stands for this look, and for no other, in its URL."""
    return sha256(document(style)).hexdigest()[:16]


def url(issuer: str, style: Mapping[str, str]) -> str:
    """Return the `smart_style_url`."""
    return f"{issuer}/styles/{name(style)}.json"

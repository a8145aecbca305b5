"""The data dictionary as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from ks4_pipeline.dictionary.document import Bullets, Code, Document, Paragraph, Query, Table
from ks4_pipeline.templates import environment

_TEMPLATE = "page.html.j2"


def render(document: Document) -> str:
    """The document as an HTML page; Jinja2 escapes every text."""
    templates = environment("ks4_pipeline.dictionary")
    kinds = {"code": Code, "several": tuple, "paragraph": Paragraph, "bullets": Bullets, "query": Query, "table": Table}
    templates.tests |= {name: lambda value, kind=kind: isinstance(value, kind) for name, kind in kinds.items()}
    return templates.get_template(_TEMPLATE).render(document=document)

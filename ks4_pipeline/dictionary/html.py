"""The data dictionary as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from ks4_pipeline.dictionary.document import Bullets, Code, Document, Paragraph, Query, Table

_TEMPLATE = "page.html.j2"


def render(document: Document) -> str:
    """The document as an HTML page; Jinja2 escapes every text."""
    environment = Environment(
        loader=PackageLoader("ks4_pipeline.dictionary", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kinds = {"code": Code, "several": tuple, "paragraph": Paragraph, "bullets": Bullets, "query": Query, "table": Table}
    environment.tests |= {name: lambda value, kind=kind: isinstance(value, kind) for name, kind in kinds.items()}
    return environment.get_template(_TEMPLATE).render(document=document)

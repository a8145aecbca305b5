"""The data dictionary as a Frictionless Data Package: one resource with its Table Schema per table and view.

The resources are CSV files with the columns of the tables, as ``ks4 sql --csv`` writes them: each says the command. The
descriptor keeps to what versions 1 and 2 of the standard have in common; what only version 2 knows (``categories``,
``uniqueKeys``) is extra.
"""

from __future__ import annotations

from collections.abc import Iterable

from ks4_pipeline.columns import Role
from ks4_pipeline.dictionary.model import DescribedColumn, Dictionary, Relation

_PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
_TYPES = {
    "VARCHAR": "string",
    "DOUBLE": "number",
    "BIGINT": "integer",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "JSON": "any",  # catalogue.changes has objects, catalogue.checks arrays
}
"""The type of the Table Schema for each type the warehouse uses."""


def package(dictionary: Dictionary) -> dict[str, object]:
    """The descriptor, ready to be written as ``datapackage.json``."""
    version = dictionary.version
    described = {
        "$schema": _PROFILE,
        "name": dictionary.data_set,
        "id": dictionary.id,
        "title": dictionary.title,
        "description": dictionary.summary,
        "version": version.number,
        "created": version.published.isoformat() if version.published else "",
        "keywords": ["explore education statistics", dictionary.data_set],
    }
    return {
        **{name: value for name, value in described.items() if value},
        "licenses": [
            {
                "name": "OGL-UK-3.0",
                "path": "https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/",
                "title": dictionary.licence,
            }
        ],
        "sources": [{"title": "Department for Education, explore education statistics"}],
        "resources": [_resource(dictionary, relation) for relation in (*dictionary.relations, *dictionary.catalogue)],
    }


def _resource(dictionary: Dictionary, relation: Relation) -> dict[str, object]:
    schema: dict[str, object] = {
        "fields": [_field(column, relation.key) for column in relation.columns],
        "missingValues": [""],
    }
    if relation.key:
        schema["primaryKey"] = list(relation.key)
    elif relation.version == dictionary.version.number and dictionary.key_is_unique:
        schema["uniqueKeys"] = [list(dictionary.row_key)]  # some of them are NULL: no primary key
    path = f"{relation.qualified}.csv"
    return {
        "name": relation.qualified,
        "type": "table",
        "title": relation.qualified,
        "description": f'{relation.description} Written by: ks4 sql --csv "FROM {relation.qualified}" > {path}',
        "path": path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": schema,
    }


def _field(column: DescribedColumn, key: Iterable[str]) -> dict[str, object]:
    field: dict[str, object] = {
        "name": column.name,
        "type": _TYPES[column.type],
        "title": column.label or column.name,
        "description": column.description,
    }
    if field["type"] == "datetime":
        field["format"] = "any"
    constraints: dict[str, object] = {"required": True} if column.name in key else {}
    if column.role in {Role.FILTER, Role.FLAG} and column.values:
        constraints["enum"] = [value.text for value in column.values]
    if constraints:
        field["constraints"] = constraints
    if column.role == Role.FLAG:
        field["categories"] = [{"value": value.text, "label": value.label} for value in column.values]
    extra = {"ks4:role": column.role, "ks4:unit": column.unit, "ks4:decimals": column.decimals, "ks4:hint": column.hint}
    return field | {name: value for name, value in extra.items() if value not in {"", None}}

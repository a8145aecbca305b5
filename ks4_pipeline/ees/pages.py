"""Addresses of the publisher's web site, for people to follow; nothing here is ever requested."""

from __future__ import annotations

from urllib.parse import quote

_CATALOGUE = "https://explore-education-statistics.service.gov.uk/data-catalogue/data-set"


def data_set_page(file_id: str) -> str:
    """The page of a version's file in the data catalogue."""
    return f"{_CATALOGUE}/{quote(file_id, safe='')}"

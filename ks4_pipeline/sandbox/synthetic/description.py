"""The description file of the synthetic data set: what the sandbox needs to answer for it, as TOML text.

Column labels, units and decimals are those of domain.md §3.1; nothing here knows a number of the data.
"""

from __future__ import annotations

import json
from typing import NamedTuple

DATA_SET_ID = "019d4320-2bde-7059-8d7a-b685013eb1e6"

_TITLE = "National - Key Stage 4 (KS4) - API"
_SUMMARY = (
    "Synthetic stand-in for the publisher's data set of the same name: invented numbers in its shape, apart from the "
    "five preview rows of version 1.0. Key stage 4 attainment of children in need, children looked after and children "
    "previously looked after in England, for testing without a network. Not for quotation."
)
_PUBLICATION = {
    "id": "5c1f0a52-7d0e-4a4b-9a2e-08d9c7a4b6e1",
    "title": "Outcomes for children in need, including children looked after by local authorities in England",
    "slug": "outcomes-for-children-in-need-including-children-looked-after-by-local-authorities-in-england",
    "summary": (
        "Synthetic stand-in for the publication on how children in need and children looked after do at school."
    ),
}


class _Filter(NamedTuple):
    column: str
    label: str
    hint: str = ""


class _Indicator(NamedTuple):
    column: str
    label: str
    decimal_places: int
    unit: str = ""


class Release(NamedTuple):
    """The statistical release a version came with."""

    title: str
    slug: str


class VersionEntry(NamedTuple):
    """One version as the description file names it."""

    version: str
    published: str  # UTC, as TOML and the API write it
    notes: str
    release: Release

    @property
    def file(self) -> str:
        """Name of its CSV file, beside the description."""
        return f"v{self.version}.csv"


FILTERS = (
    _Filter("social_care_group", "Social care group", "Groups overlap: do not add them up"),
    _Filter("sen_provision", "Special educational needs (SEN) provision"),
    _Filter("ethnicity_major", "Ethnicity"),
    _Filter("placement", "Placement of the looked-after child", "Only for children looked after (CLA)"),
    _Filter("period_of_care_length", "Length of the period of care", "Only for children looked after (CLA)"),
    _Filter("version", "Status of the figures", "Provisional, Revised or Final: not the version of the data set"),
)
_INDICATORS = (
    _Indicator("pupil_count", "Number of pupils at the end of key stage 4", 0),
    _Indicator("attainment8_sum", "Attainment 8: sum of all pupils' scores", 2),
    _Indicator("attainment8_average", "Attainment 8: average score per pupil", 1),
    _Indicator("engmath_95_total", "Pupils with grade 5 or above in English and maths", 0),
    _Indicator("engmath_95_percent", "Percentage with grade 5 or above in English and maths", 1, "%"),
    _Indicator("engmath_94_total", "Pupils with grade 4 or above in English and maths", 0),
    _Indicator("engmath_94_percent", "Percentage with grade 4 or above in English and maths", 1, "%"),
    _Indicator("ebacc_entering_total", "Pupils entering the English Baccalaureate (EBacc)", 0),
    _Indicator("ebacc_entering_percent", "Percentage entering the English Baccalaureate (EBacc)", 1, "%"),
    _Indicator("ebacc_95_total", "Pupils achieving the EBacc at grade 5 or above", 0),
    _Indicator("ebacc_95_percent", "Percentage achieving the EBacc at grade 5 or above", 1, "%"),
    _Indicator("ebacc_94_total", "Pupils achieving the EBacc at grade 4 or above", 0),
    _Indicator("ebacc_94_percent", "Percentage achieving the EBacc at grade 4 or above", 1, "%"),
    _Indicator("ebacc_aps_sum", "EBacc: sum of all pupils' average point scores", 2),
    _Indicator("ebacc_aps_average", "EBacc: average point score per pupil", 2),
    _Indicator("progress8_pupil_count", "Number of pupils counted in Progress 8", 0),
    _Indicator("progress8_sum", "Progress 8: sum of all pupils' scores", 3),
    _Indicator("progress8_average", "Progress 8: average score per pupil", 2),
    _Indicator("progress8_lower_95_ci", "Progress 8: lower limit of the 95% confidence interval", 2),
    _Indicator("progress8_upper_95_ci", "Progress 8: upper limit of the 95% confidence interval", 2),
)


def description(versions: tuple[VersionEntry, ...], *, held: bool) -> str:
    """The whole file; with ``held`` every version but the first waits to be released by the sandbox."""
    blocks = [
        _table("", id=DATA_SET_ID, title=_TITLE, summary=_SUMMARY),
        _table("[publication]", **_PUBLICATION),
        *(_table("[[filters]]", **entry._asdict()) for entry in FILTERS),
        *(_indicator(entry) for entry in _INDICATORS),
        *(_version(entry, held=held and at > 0) for at, entry in enumerate(versions)),
    ]
    return "\n".join(blocks)


def _table(header: str, **values: str | int) -> str:
    lines = [f"{name} = {_toml(value)}\n" for name, value in values.items()]
    return "".join([f"{header}\n", *lines] if header else lines)


def _indicator(entry: _Indicator) -> str:
    unit = {"unit": entry.unit} if entry.unit else {}
    return _table("[[indicators]]", column=entry.column, label=entry.label, **unit, decimal_places=entry.decimal_places)


def _version(entry: VersionEntry, *, held: bool) -> str:
    release = f"{{ title = {_toml(entry.release.title)}, slug = {_toml(entry.release.slug)} }}"
    return (
        _table("[[versions]]", version=entry.version, file=entry.file)
        + f"published = {entry.published}\n"
        + f"notes = {_toml(entry.notes)}\n"
        + f"release = {release}\n"
        + ("held = true\n" if held else "")
    )


def _toml(value: str | int) -> str:
    """A TOML value; JSON's strings and integers are TOML's."""
    return json.dumps(value, ensure_ascii=False)

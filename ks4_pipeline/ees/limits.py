"""How much of an answer is taken, for how long, and how often is asked: bounds that only a fault or an attack reaches.

They stand in the configuration's table ``[limits]``; without it the defaults hold, which leave room above anything
published so far.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int, Field(ge=1, le=10**15)]
_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class Limits(BaseModel):
    """Bounds on what the API may make us do.

    Attributes:
        max_json_bytes: of one JSON answer, unpacked.
        max_download_bytes: of one CSV as it travels, packed; a greater announced length is refused before the first
            byte.
        max_csv_bytes: of one CSV, unpacked.
        max_csv_ratio: how many times its packed size a CSV may come to, once it is larger than 100 MB: a bomb's zeros
            give 1000, published files 10 to 40.
        answer_seconds: for one JSON answer from first to last byte.
        download_seconds: for one download of a CSV. The server itself stops after 30 (contract §1.4).
        requests_per_second: on average; bursts of 200, a look at a hundred data sets, are let through.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_json_bytes: _Count = 64 << 20
    max_download_bytes: _Count = 2_000_000_000
    max_csv_bytes: _Count = 20_000_000_000
    max_csv_ratio: _Count = 400
    answer_seconds: _Seconds = 60
    download_seconds: _Seconds = 600
    requests_per_second: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 10

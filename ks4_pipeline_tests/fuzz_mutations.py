"""Spoilt bytes for the fuzzer: what a bad disk, a bad program or a bad person makes of a CSV, a gzip or a JSON answer.

Every mutation is a function of a body and of dice, so that the same seed spoils in the same way. About half of them
know the format and give something that still is one; the others work on plain bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[Random, bytes], bytes]

CSV_TOKENS = (
    "c", "z", "x", "low", "k", "u", ":", "~", "C", "[c]", " c ", "LOW", "w", "*", "..", "NaN", "nan", "inf",
    "-Infinity", "1e400", "1e308", "5e-324", "-0", "007", "+3", ".5", "5.", "1_000", "0x10", "9" * 40,
    "9007199254740993", "0.1000000000000000055511151231257827", "123456789012345678901234567890", "1e",
    "1,5", "£5", "", " ", "\t", "\t7 ",
    "NULL", '"', '""', '"""', '"a', 'a"', '"a"b', "'", "\ufeff", "\0", "\r", "\n", "\r\n", "\n\n", "\r\r", ",", ",,",
    ";", "y" * 70_000, "\u0661", "\u212a", "\u00a0", "\u2028", "\x85", "\x1a", "\x1b[31m", "\u202e", "=1+1", "#", "\\",
    "pupils", "score", "pupils_flag", "Score", "202324", "National", "grp",
)  # fmt: skip
RAW_TOKENS = (
    b"\xff", b"\xfe\xff", b"\xc3", b"\xed\xa0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\0", b"\r",
    b"\n", b'"', b",", b"\x1a", b"\x80",
)  # fmt: skip
JSON_VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, float("nan"), float("inf"), 1e308, "",
    " ", "0", "1.0", "1.0.1", "v1.0", "../../x", "\0", "\ud800", "\u202e", "\x1b[31m", "c", "NaN", "string",
    "Published", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01T00:00:00Z",
    "1700000000", "2026-01-01", [],
    {}, [[]], [None], {"id": "x"}, [{}], "x" * 10_000, '"; drop table x; --', "999999999.999999999.999999999", "%", "£",
)  # fmt: skip
JSON_TOKENS = (
    "NaN", "-Infinity", "1e400", "-1e400", "1" * 5000, "0.0", "-0", "01", "[", "]", "{", "}", ":", ",", '"', "\\",
    "\\u0000", "\\ud800", "\\udc00\\ud800", "null", "true", "[" * 3000, '{"a":' * 3000, "\ufeff", "//", "'", "\0",
    '"id":1,', '"version":"9.9",', '"results":[],', '"unit":"string",', '"decimalPlaces":99999999999,',
)  # fmt: skip


def spoilt(rng: Random, body: bytes, others: Sequence[bytes], mutations: Sequence[Mutation]) -> bytes:
    """A body after one or several mutations; now and then put together with another one."""
    for _ in range(rng.choices((1, 2, 3, 6), (60, 20, 15, 5))[0]):
        body = _spliced(rng, body, rng.choice(others)) if rng.random() < 0.03 else rng.choice(mutations)(rng, body)
    return body


def _at(rng: Random, body: bytes) -> int:
    return rng.randint(0, len(body))


def _span(rng: Random, body: bytes) -> tuple[int, int]:
    start = _at(rng, body)
    return start, min(len(body), start + rng.choice((1, 1, 2, 5, 20, 200)))


def _flipped(rng: Random, body: bytes) -> bytes:
    if not body:
        return b"\xff"
    place = rng.randrange(len(body))
    return body[:place] + bytes([body[place] ^ 1 << rng.randrange(8)]) + body[place + 1 :]


def _replaced(rng: Random, body: bytes) -> bytes:
    start, end = _span(rng, body)
    return body[:start] + rng.randbytes(end - start) + body[end:]


def _deleted(rng: Random, body: bytes) -> bytes:
    start, end = _span(rng, body)
    return body[:start] + body[end:]


def _repeated(rng: Random, body: bytes) -> bytes:
    start, end = _span(rng, body)
    return body[:end] + body[start:end] * rng.choice((1, 1, 2, 50)) + body[end:]


def _cut(rng: Random, body: bytes) -> bytes:
    return body[: _at(rng, body)] if rng.random() < 0.7 else body[_at(rng, body) :]


def _spliced(rng: Random, body: bytes, other: bytes) -> bytes:
    return body[: _at(rng, body)] + other[_at(rng, other) :]


def _with_raw_token(rng: Random, body: bytes) -> bytes:
    place = _at(rng, body)
    return body[:place] + rng.choice(RAW_TOKENS) + body[place:]


def _lines_moved(rng: Random, body: bytes) -> bytes:
    lines = body.splitlines(keepends=True)
    if not lines:
        return body
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(3):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            del lines[one]
        case _:
            lines.insert(other, lines[one])
    return b"".join(lines)


BYTES: tuple[Mutation, ...] = (_flipped, _replaced, _deleted, _repeated, _cut, _with_raw_token)


# --- CSV -------------------------------------------------------------------------------------------------------------


def _csv_token(rng: Random, body: bytes) -> bytes:
    place = _at(rng, body)
    return body[:place] + rng.choice(CSV_TOKENS).encode("utf-8", "surrogatepass") + body[place:]


def _csv_field(rng: Random, body: bytes) -> bytes:
    """Another text between two commas, as it stands."""
    fields = body.split(b",")
    fields[rng.randrange(len(fields))] = rng.choice(CSV_TOKENS).encode()
    return b",".join(fields)


def _csv_fields_swapped(rng: Random, body: bytes) -> bytes:
    fields = body.split(b",")
    one, other = rng.randrange(len(fields)), rng.randrange(len(fields))
    fields[one], fields[other] = fields[other], fields[one]
    return b",".join(fields)


def _csv_line_ends(rng: Random, body: bytes) -> bytes:
    plain = body.replace(b"\r\n", b"\n")
    return plain.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\r\r\n", b"\n\r", b"\x0b")))


def _csv_rewritten(rng: Random, body: bytes) -> bytes:
    """A change of cells or columns, in good CSV with any quoting."""
    try:
        table = [row for row in csv.reader(io.StringIO(body.decode(), newline="")) if row]
    except (UnicodeDecodeError, csv.Error):
        return body
    if not table:
        return body
    row, width = rng.choice(table), len(table[0])
    column = rng.randrange(width)
    match rng.randrange(7):
        case 0 | 1 | 2:
            row[rng.randrange(len(row))] = rng.choice(CSV_TOKENS)
        case 3:
            for each in table:
                each[column:column] = each[rng.randrange(len(each)) :][:1]
        case 4:
            for each in table:
                del each[column : column + 1]
        case 5:
            order = rng.sample(range(width), width)
            table = [[each[place] for place in order] if len(each) == width else each for each in table]
        case _:
            table += [list(each) for each in table[1:]] * rng.choice((1, 5))
    text = io.StringIO(newline="")
    try:
        csv.writer(
            text, lineterminator=rng.choice(("\n", "\r\n")), quoting=rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
        ).writerows(table)
    except csv.Error:
        return body
    return text.getvalue().encode("utf-8", "surrogatepass")


CSV: tuple[Mutation, ...] = (
    *BYTES, _lines_moved, _csv_token, _csv_token, _csv_field, _csv_field, _csv_fields_swapped, _csv_line_ends,
    _csv_rewritten, _csv_rewritten, _csv_rewritten,
)  # fmt: skip


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json_token(rng: Random, body: bytes) -> bytes:
    place = _at(rng, body)
    return body[:place] + rng.choice(JSON_TOKENS).encode() + body[place:]


def _json_number(rng: Random, body: bytes) -> bytes:
    """Another token where a value stands."""
    colons = [place for place, byte in enumerate(body) if byte == ord(":")]
    if not colons:
        return body
    start = rng.choice(colons) + 1
    end = min((place for place in (body.find(b",", start), body.find(b"}", start)) if place >= 0), default=start)
    return body[:start] + rng.choice(JSON_TOKENS).encode() + body[end:]


def _json_key_twice(rng: Random, body: bytes) -> bytes:
    """The same key twice in one object, with different values."""
    keys = [place for place in range(len(body) - 1) if body[place : place + 2] == b'{"']
    if not keys:
        return body
    start = rng.choice(keys) + 1
    end = body.find(b":", start)
    value = json.dumps(rng.choice(JSON_VALUES)).encode()
    return body[:start] + body[start:end] + b":" + value + b"," + body[start:]


def _json_tree(rng: Random, body: bytes) -> bytes:  # noqa: C901 - a case per change
    """Another value, a key more, a key less, or a member twice, somewhere in the tree."""
    try:
        tree = json.loads(body.decode())
    except (ValueError, RecursionError):
        return body
    holders: list[dict[str, object] | list[object]] = []
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            holders.append(node)
            waiting += node.values() if isinstance(node, dict) else node
    holder = rng.choice(holders or [[]])
    value = rng.choice(JSON_VALUES)
    if isinstance(holder, dict):
        key = rng.choice([*holder, rng.choice(("id", "version", "", "unit", "decimalPlaces", "value"))])
        match rng.randrange(4):
            case 0:
                holder.pop(key, None)
            case 1:
                holder[key.swapcase()] = holder.pop(key, None)
            case _:
                holder[key] = value
    elif holder:
        place = rng.randrange(len(holder))
        match rng.randrange(4):
            case 0:
                del holder[place]
            case 1:
                holder.append(holder[place])
            case 2:
                rng.shuffle(holder)
            case _:
                holder[place] = value
    return json.dumps(tree, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")


_LIKE: dict[type, tuple[object, ...]] = {
    int: (-1, 0, 19, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 10**400),
    str: tuple(value for value in JSON_VALUES if isinstance(value, str)),
    bool: (True, False),
    float: (0.0, 1e308, float("nan")),
}


def _json_leaf(rng: Random, body: bytes) -> bytes:
    """Another value of the same type in one place: what only those who use it can refuse."""
    try:
        tree = json.loads(body.decode())
    except (ValueError, RecursionError):
        return body
    leaves: list[tuple[dict[str, object] | list[object], str | int]] = []
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            for key, value in node.items() if isinstance(node, dict) else enumerate(node):
                if type(value) in _LIKE:
                    leaves.append((node, key))
                else:
                    waiting.append(value)
    if not leaves:
        return body
    holder, key = rng.choice(leaves)
    holder[key] = rng.choice(_LIKE[type(holder[key])])  # type: ignore[index]
    return json.dumps(tree).encode()


JSON: tuple[Mutation, ...] = (
    *BYTES, _json_token, _json_number, _json_number, _json_key_twice, *([_json_tree] * 6), *([_json_leaf] * 6),
)  # fmt: skip

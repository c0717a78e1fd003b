"""JSON as text: laid out and compared without deciding what a number is. There is no need to edit it."""

import json
import re

# A string, a bracket, comma or colon, or a number or word. What is between them is white space.
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class Json(str):
    """JSON text, as it was submitted."""


def format(value):
    """Writes a value: two-space indent, numbers in `Json` as they were written, a newline at the end."""
    parts = []
    _write(value, "\n", parts)
    parts.append("\n")
    return "".join(parts)


def same(one, other, but_for):
    """Whether two objects are equal but for one member of theirs: order of members ignored, strings compared decoded, numbers as
    they were written. What is not a JSON object equals nothing."""
    try:
        one, other = _read(one), _read(other)
    except (ValueError, RecursionError):
        return False
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return False
    one.pop(but_for, None)
    other.pop(but_for, None)
    return one == other


# How many places of a difference are named, and how long a name may be.
NAMED = 10
LONGEST_NAME = 256


def differences(one, other, but_for):
    """Where two objects differ but for one member of theirs, as JSON pointers; the first ten. Raises ValueError where one is no JSON
    object."""
    one, other = _read(one), _read(other)
    if not (isinstance(one, dict) and isinstance(other, dict)):
        raise ValueError("not a JSON object")
    one.pop(but_for, None)
    other.pop(but_for, None)
    places = []
    _compare(one, other, "", places)
    return [place if len(place) <= LONGEST_NAME else place[:LONGEST_NAME] + "…" for place in places[:NAMED]]


def _compare(one, other, place, places):
    if len(places) >= NAMED:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            below = f"{place}/{key.replace('~', '~0').replace('/', '~1')}"
            if key in one and key in other:
                _compare(one[key], other[key], below, places)
            else:
                places.append(below)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (item, theirs) in enumerate(zip(one, other)):
            _compare(item, theirs, f"{place}/{index}", places)
    elif one != other:
        places.append(place)


# An entry is at most 64 deep. What is deeper equals none, and would exhaust the sandbox's stack.
DEEPEST = 100


def _read(text):
    depth = 0
    for token in TOKEN.findall(text):
        if token in "{[":
            depth += 1
        elif token in "}]":
            depth -= 1
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
    # As tuples, so that a number equals nothing but itself: 1 is not 1.0, not "1" and not true.
    number = lambda written: ("number", written)
    return json.loads(text, parse_int=number, parse_float=number, parse_constant=number)


def _write(value, line, parts):
    if isinstance(value, Json):
        _lay_out(value, line, parts)
    elif isinstance(value, dict):
        inner = line + "  "
        items = [(json.dumps(key, ensure_ascii=False) + ": ", item) for key, item in value.items()]
        _container("{", items, "}", line, inner, parts)
    elif isinstance(value, (list, tuple)):
        _container("[", [("", item) for item in value], "]", line, line + "  ", parts)
    else:
        parts.append(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _container(opening, items, closing, line, inner, parts):
    parts.append(opening)
    for index, (name, item) in enumerate(items):
        parts.append(("," if index else "") + inner + name)
        _write(item, inner, parts)
    parts.append((line if items else "") + closing)


def _lay_out(text, line, parts):
    tokens = TOKEN.findall(text)
    tokens.reverse()
    while tokens:
        token = tokens.pop()
        if token in "{[":
            if tokens and tokens[-1] in "}]":
                parts.append(token + tokens.pop())
            else:
                line += "  "
                parts.append(token + line)
        elif token in "}]":
            line = line[:-2]
            parts.append(line + token)
        elif token == ",":
            parts.append("," + line)
        elif token == ":":
            parts.append(": ")
        else:
            parts.append(token)

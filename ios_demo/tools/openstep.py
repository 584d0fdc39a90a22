"""Reads the OpenStep property lists that Xcode's project.pbxproj is written in."""

import re
from typing import Any

Value = Any
"""A string, a list of values, or a dictionary from strings to values."""

_TOKEN = re.compile(
    r"""\s+ | //[^\n]* | /\*.*?\*/            # space and comments
      | (?P<mark>[{}()=;,])
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | (?P<bare>[A-Za-z0-9_./$:-]+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def parse(text: str) -> Value:
    """The value in `text`: strings, lists and dictionaries of them.

    Raises:
        ValueError: not an OpenStep property list; the text names the line.
    """
    tokens = _tokens(text)
    value, rest = _value(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"line {tokens[rest][2]}: something after the end: {tokens[rest][1]!r}")
    return value


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """(kind, text, line) of each mark and string."""
    tokens: list[tuple[str, str, int]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        line = text.count("\n", 0, position) + 1
        if match is None:
            raise ValueError(f"line {line}: cannot read {text[position : position + 20]!r}")
        if match["mark"]:
            tokens.append(("mark", match["mark"], line))
        elif match["quoted"] is not None:
            plain = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), match["quoted"])
            tokens.append(("string", plain, line))
        elif match["bare"]:
            tokens.append(("string", match["bare"], line))
        position = match.end()
    return tokens


def _value(tokens: list[tuple[str, str, int]], at: int) -> tuple[Value, int]:
    """The value that starts at token `at`, and the token after it."""
    if at >= len(tokens):
        raise ValueError("the text ends too early")
    kind, text, line = tokens[at]
    if kind == "string":
        return text, at + 1
    if text == "(":
        items: list[Value] = []
        at += 1
        while not _is(tokens, at, ")"):
            item, at = _value(tokens, at)
            items.append(item)
            at = _expect(tokens, at, ",") if not _is(tokens, at, ")") else at
        return items, at + 1
    if text == "{":
        entries: dict[str, Value] = {}
        at += 1
        while not _is(tokens, at, "}"):
            key, at = _value(tokens, at)
            if not isinstance(key, str) or key in entries:
                raise ValueError(f"line {line}: {key!r} is no key, or is there twice")
            entries[key], at = _value(tokens, _expect(tokens, at, "="))
            at = _expect(tokens, at, ";")
        return entries, at + 1
    raise ValueError(f"line {line}: {text!r} starts no value")


def _is(tokens: list[tuple[str, str, int]], at: int, mark: str) -> bool:
    if at >= len(tokens):
        raise ValueError("the text ends too early")
    return tokens[at][:2] == ("mark", mark)


def _expect(tokens: list[tuple[str, str, int]], at: int, mark: str) -> int:
    if not _is(tokens, at, mark):
        raise ValueError(f"line {tokens[at][2]}: {tokens[at][1]!r} where {mark!r} belongs")
    return at + 1

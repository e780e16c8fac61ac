"""YAML text to plain data with places (a Document).

The data is JSON-like (dict, list, str, int, float, bool, None) with SecretReference where `!secret` stood. Words mean what
YAML 1.2 says (see scalars.py). Nothing is built that the text does not hold: no tags but `!secret`, no Python objects.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from cookline.control.stack.document import LINE_BREAK, Document
from cookline.control.stack.nodes import DEEPEST, List, Map, Node, Text, TooDeep, YAMLError, compose, note_syntax
from cookline.control.stack.problems import Mark, Where, raise_problems, shown
from cookline.control.stack.regular_file import read_regular
from cookline.control.stack.scalars import scalar
from cookline.control.stack.secrets import SecretReference
from cookline.errors import StackError

# A stack of 10,000 instances has about 1 MB.
LARGEST_FILE = 4 * 1024 * 1024
# Aliases count as often as they are used: ten lines of "&b [*a, *a, ...]" would make a billion values.
MOST_VALUES = 200_000

# NUL ends paths and arguments; halves of a surrogate pair have no UTF-8.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

STRING_TAG = "tag:yaml.org,2002:str"
SECRET_TAG = "!secret"
COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


def read(path: Path) -> Document:
    """The document in the file; its `problems` hold what is wrong with it. Raises StackError when there is no text to read."""
    name = shown(path)
    try:
        content, _status = read_regular(path, LARGEST_FILE)
    except OSError as error:
        raise StackError([f"{name}:1:1: cannot be read: {error.strerror}"], hint="give the path of a YAML file") from None
    if len(content) > LARGEST_FILE:
        raise StackError([f"{name}:1:1: has more than {LARGEST_FILE} bytes, the limit of a definition"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        problem = f"{name}:{line}:{column}: is not UTF-8: byte 0x{content[error.start]:02x} cannot stand here"
        raise StackError([problem], hint=f"convert it: iconv -f latin1 -t utf-8 {name}") from None
    return collect(text, name)


def parse(text: str, file: str, *, excerpts: bool = True) -> Document:
    """As `collect`, and raises StackError with all problems; `excerpts=False` for files with secrets in them."""
    document = collect(text, file, excerpts=excerpts)
    raise_problems(document.problems)
    return document


def collect(text: str, file: str, *, excerpts: bool = True) -> Document:
    """The document of `text`. When the syntax is broken `data` is None and `problems` say where."""
    document = Document(file, LINE_BREAK.split(text), excerpts=excerpts, text=text)
    unstorable = UNSTORABLE.search(text)
    if unstorable:
        document.note(document.mark_of(unstorable.start()), f"the character U+{ord(unstorable[0]):04X} cannot stand in YAML")
        return document
    try:
        root = compose(text, document)
    except YAMLError as error:
        note_syntax(document, error)
    except TooDeep as error:
        document.note(error.mark, f"nests deeper than {DEEPEST} levels")
    else:
        if root is not None:
            _Builder(document).fill(root)
    return document


class _Builder:
    """Walks the nodes once, notes every place, and stops where aliases multiply too far."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values = 0
        self.full = False

    def fill(self, root: Node) -> None:
        data = self._value(root, (), ())
        self.document.data = None if self.full else data

    def _value(self, node: Node, where: Where, above: tuple[int, ...]) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            if not self.full:
                self.document.note(
                    node.mark, f"holds more than {MOST_VALUES} values, aliases counted as often as they are used"
                )
            self.full = True
            return None
        if id(node) in above or len(above) > DEEPEST:
            reason = "an alias stands inside of what it names" if id(node) in above else f"nests deeper than {DEEPEST} levels"
            self.document.note(node.mark, reason)
            return None
        self.document.marks[where] = node.mark
        if isinstance(node, Text):
            return self._scalar(node)
        if node.tag not in COLLECTION_TAGS:
            self.document.note(node.mark, f"the tag {str(node.tag)[:60]} cannot stand before a {node.kind}")
        if isinstance(node, Map):
            return self._mapping(node, where, (*above, id(node)))
        assert isinstance(node, List)
        items = itertools.takewhile(lambda _item: not self.full, enumerate(node.items))
        return [self._value(item, (*where, index), (*above, id(node))) for index, item in items]

    def _scalar(self, node: Text) -> Any:
        if UNSTORABLE.search(node.value):
            self.document.note(node.mark, "holds a character that no JSON text can hold")
            return None
        if node.plain:
            return scalar(node.value)
        if node.tag in (None, STRING_TAG):
            return node.value
        if node.tag == SECRET_TAG:
            try:
                return SecretReference.parse(node.value)
            except ValueError as error:
                self.document.note(node.mark, str(error))
                return None
        self.document.note(node.mark, f"the tag {str(node.tag)[:60]} is unknown; only !secret may stand here")
        return None

    def _mapping(self, node: Map, where: Where, above: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, Mark] = {}
        merged: list[Node] = []
        for key, value in node.items:
            if self.full:
                break
            if isinstance(key, Text) and key.plain and key.value == "<<":
                merged.append(value)
                continue
            name = self._key(key)
            if name is None:
                continue
            if name in first:
                self.document.note(key.mark, f"the key {name[:60]!r} stands twice; first in line {first[name].line}")
                continue
            first[name] = key.mark
            self.document.key_marks[(*where, name)] = key.mark
            found[name] = self._value(value, (*where, name), above)
        for value in merged:
            self._merge(value, found, where, above)
        return found

    def _key(self, key: Node) -> str | None:
        if not isinstance(key, Text):
            self.document.note(key.mark, f"a key is text, not a {key.kind}")
        elif key.tag is not None and key.tag != STRING_TAG:
            self.document.note(key.mark, f"{key.tag[:40]} stands only where a value stands, never in a key")
        elif UNSTORABLE.search(key.value):
            self.document.note(key.mark, "the key holds a character that no JSON text can hold")
        elif key.value == SECRET_TAG:
            self.document.note(key.mark, "'!secret' is no name for a key; write: key: !secret env:NAME")
        elif key.plain and scalar(key.value) is None:
            self.document.note(key.mark, "a key is missing here; quote it if it is meant as text")
        else:
            return key.value
        return None

    def _merge(self, value: Node, found: dict[str, Any], where: Where, above: tuple[int, ...]) -> None:
        """`<<: *anchor`: what the mapping does not say itself comes from the anchor."""
        sources = value.items if isinstance(value, List) else [value]
        for source in sources:
            if not isinstance(source, Map):
                self.document.note(value.mark, "'<<' wants an alias of a mapping, or a list of them")
            elif id(source) in above:
                self.document.note(value.mark, "an alias stands inside of what it names")
            else:
                pairs = [(key, item) for key, item in source.items if not (isinstance(key, Text) and key.value in found)]
                found.update(self._mapping(Map(source.mark, None, pairs), where, (*above, id(source))))

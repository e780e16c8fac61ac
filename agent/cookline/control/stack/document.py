"""YAML text to plain data that remembers where each value and key stands. The only importer of yaml.

The data is JSON-like (dict, list, str, int, float, bool, None) with SecretReference where `!secret` stood. Words mean what
YAML 1.2 says (see scalars.py). Nothing is built that the text does not hold: no tags but `!secret`, no Python objects.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml import events

from cookline.control.stack.problems import Mark, Position, Problem, excerpt, raise_problems, shown
from cookline.control.stack.regular_file import read_regular
from cookline.control.stack.scalars import scalar
from cookline.control.stack.secrets import SecretReference
from cookline.errors import StackError

Where = tuple[str | int, ...]

# A stack of 10,000 instances has about 1 MB.
LARGEST_FILE = 4 * 1024 * 1024
# Attributes of real cookbooks nest 6 deep; the wire's limit is 16 below a few levels of our own.
DEEPEST = 24
# Aliases count as often as they are used: ten lines of "&b [*a, *a, ...]" would make a billion values.
MOST_VALUES = 200_000

# What YAML counts as the end of a line.
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")

# NUL ends paths and arguments; halves of a surrogate pair have no UTF-8.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

STRING_TAG = "tag:yaml.org,2002:str"
SECRET_TAG = "!secret"
COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


@dataclass
class Document:
    """A parsed file. `marks` has each value's place by its path in the data, `key_marks` each key's."""

    file: str
    lines: list[str]
    data: Any = None
    marks: dict[Where, Mark] = field(default_factory=dict)
    key_marks: dict[Where, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    excerpts: bool = True
    text: str = ""

    def position(self, where: Where, *, key: bool = False) -> Position:
        """The place of the value at `where` (of its key), or of the nearest mapping or list around it."""
        if key and where in self.key_marks:
            return Position(self.file, *self.key_marks[where])
        while where and where not in self.marks:
            where = where[:-1]
        return Position(self.file, *self.marks.get(where, Mark(1, 1)))

    def mark_of(self, offset: int) -> Mark:
        """The place of a character of the text, counted from 0."""
        before = LINE_BREAK.split(self.text[:offset])
        return Mark(len(before), len(before[-1]) + 1)

    def problem(self, where: Where, sentence: str, *, key: bool = False) -> None:
        """Note what is wrong with the value at `where`."""
        position = self.position(where, key=key)
        self.note(Mark(position.line, position.column), sentence)

    def note(self, mark: Mark, sentence: str) -> None:
        shown_line = excerpt(self.lines, *mark) if self.excerpts else ""
        self.problems.append(Problem(Position(self.file, *mark), sentence, shown_line))


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
        root = _compose(text, document)
    except yaml.YAMLError as error:
        _note_syntax(document, error)
    except _TooDeep as error:
        document.note(error.mark, f"nests deeper than {DEEPEST} levels")
    else:
        if root is not None:
            _Builder(document).fill(root)
    return document


@dataclass
class _Node:
    """What the parser saw: text, a list of nodes or a mapping of nodes to nodes."""

    mark: Mark
    tag: str | None
    kind: ClassVar[str] = ""


@dataclass
class _Text(_Node):
    value: str
    plain: bool  # neither quoted nor tagged: a word that may mean a number
    kind: ClassVar[str] = "text"


@dataclass
class _List(_Node):
    items: list[_Node]
    kind: ClassVar[str] = "list"


@dataclass
class _Map(_Node):
    items: list[tuple[_Node, _Node]]
    kind: ClassVar[str] = "mapping"


class _TooDeep(Exception):
    def __init__(self, mark: Mark) -> None:
        self.mark = mark


def _events(text: str) -> Iterator[Any]:
    """libyaml where it is built in (ten times as fast); its errors are told in the words of the Python scanner."""
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=fast)
    except yaml.YAMLError:
        for _event in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
        raise


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _compose(text: str, document: Document) -> _Node | None:
    """The tree of nodes, built without recursion: its depth is checked while it grows."""
    anchors: dict[str, _Node] = {}
    around: list[tuple[_List | _Map, list[_Node]]] = []
    root: _Node | None = None
    for event in _events(text):
        if isinstance(event, (events.SequenceEndEvent, events.MappingEndEvent)):
            _close(*around.pop())
        if isinstance(event, events.DocumentStartEvent) and root is not None:
            document.note(_mark(event.start_mark), "a second document starts here; a definition is one")
            return root
        node = _node(event, anchors, document)
        if node is None:
            continue
        if around:
            around[-1][1].append(node)
        else:
            root = node
        if isinstance(event, events.CollectionStartEvent) and isinstance(node, (_List, _Map)):
            if len(around) >= DEEPEST:
                raise _TooDeep(node.mark)
            around.append((node, []))
    return root


def _node(event: Any, anchors: dict[str, _Node], document: Document) -> _Node | None:
    """The node that an event starts, or the one that an alias means; None for events that are about the stream."""
    if not isinstance(event, events.NodeEvent):
        return None
    mark = _mark(event.start_mark)
    anchor = str(event.anchor)
    if isinstance(event, events.AliasEvent):
        if anchor not in anchors:
            document.note(mark, f"the alias *{anchor[:40]} has no anchor before it")
        return anchors.get(anchor, _Text(mark, None, "", plain=True))
    node: _Node
    if isinstance(event, events.ScalarEvent):
        tag = None if event.tag in (None, "!") else str(event.tag)
        node = _Text(mark, tag, str(event.value), plain=bool(event.implicit[0]) and tag is None)
    else:
        tag = getattr(event, "tag", None)
        node = _Map(mark, tag, []) if isinstance(event, events.MappingStartEvent) else _List(mark, tag, [])
    if event.anchor:
        anchors[anchor] = node
    return node


def _close(node: _List | _Map, children: list[_Node]) -> None:
    if isinstance(node, _Map):
        node.items = list(zip(children[::2], children[1::2], strict=True))
    else:
        node.items = children


def _note_syntax(document: Document, error: yaml.YAMLError) -> None:
    """Tabs in the indentation are all told; of other syntax errors the parser knows only the first."""
    tabs = [number for number, line in enumerate(document.lines, 1) if "\t" in line[: len(line) - len(line.lstrip())]]
    for number in tabs:
        column = document.lines[number - 1].index("\t") + 1
        document.note(Mark(number, column), "a tab indents this line; YAML wants spaces")
    if tabs:
        return
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if isinstance(error, yaml.reader.ReaderError):
        document.note(document.mark_of(error.position), f"the character {_character(error)} cannot stand in YAML")
        return
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    sentence = f"is not YAML: {problem}" + (f" ({context})" if context else "")
    document.note(_mark(mark) if mark is not None else Mark(1, 1), " ".join(sentence.split()))


def _character(error: yaml.reader.ReaderError) -> str:
    character = error.character
    return f"U+{character:04X}" if isinstance(character, int) else repr(character)


class _Builder:
    """Walks the nodes once, notes every place, and stops where aliases multiply too far."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values = 0
        self.full = False

    def fill(self, root: _Node) -> None:
        data = self._value(root, (), ())
        self.document.data = None if self.full else data

    def _value(self, node: _Node, where: Where, above: tuple[int, ...]) -> Any:
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
        if isinstance(node, _Text):
            return self._scalar(node)
        if node.tag not in COLLECTION_TAGS:
            self.document.note(node.mark, f"the tag {str(node.tag)[:60]} cannot stand before a {node.kind}")
        if isinstance(node, _Map):
            return self._mapping(node, where, (*above, id(node)))
        assert isinstance(node, _List)
        items = itertools.takewhile(lambda _item: not self.full, enumerate(node.items))
        return [self._value(item, (*where, index), (*above, id(node))) for index, item in items]

    def _scalar(self, node: _Text) -> Any:
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

    def _mapping(self, node: _Map, where: Where, above: tuple[int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, Mark] = {}
        merged: list[_Node] = []
        for key, value in node.items:
            if self.full:
                break
            if isinstance(key, _Text) and key.plain and key.value == "<<":
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

    def _key(self, key: _Node) -> str | None:
        if not isinstance(key, _Text):
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

    def _merge(self, value: _Node, found: dict[str, Any], where: Where, above: tuple[int, ...]) -> None:
        """`<<: *anchor`: what the mapping does not say itself comes from the anchor."""
        sources = value.items if isinstance(value, _List) else [value]
        for source in sources:
            if not isinstance(source, _Map):
                self.document.note(value.mark, "'<<' wants an alias of a mapping, or a list of them")
            elif id(source) in above:
                self.document.note(value.mark, "an alias stands inside of what it names")
            else:
                pairs = [(key, item) for key, item in source.items if not (isinstance(key, _Text) and key.value in found)]
                found.update(self._mapping(_Map(source.mark, None, pairs), where, (*above, id(source))))

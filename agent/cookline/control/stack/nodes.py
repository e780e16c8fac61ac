"""What the YAML parser saw: nodes with their places. The only importer of yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml
from yaml import events

from cookline.control.stack.document import Document
from cookline.control.stack.problems import Mark

# Attributes of real cookbooks nest 6 deep; the wire's limit is 16 below a few levels of our own.
DEEPEST = 24

YAMLError = yaml.YAMLError


@dataclass
class Node:
    """What the parser saw: text, a list of nodes or a mapping of nodes to nodes."""

    mark: Mark
    tag: str | None
    kind: ClassVar[str] = ""


@dataclass
class Text(Node):
    value: str
    plain: bool  # neither quoted nor tagged: a word that may mean a number
    kind: ClassVar[str] = "text"


@dataclass
class List(Node):
    items: list[Node]
    kind: ClassVar[str] = "list"


@dataclass
class Map(Node):
    items: list[tuple[Node, Node]]
    kind: ClassVar[str] = "mapping"


class TooDeep(Exception):
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


def compose(text: str, document: Document) -> Node | None:
    """The tree of nodes, built without recursion: its depth is checked while it grows. Raises YAMLError and TooDeep."""
    anchors: dict[str, Node] = {}
    around: list[tuple[List | Map, list[Node]]] = []
    root: Node | None = None
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
        if isinstance(event, events.CollectionStartEvent) and isinstance(node, (List, Map)):
            if len(around) >= DEEPEST:
                raise TooDeep(node.mark)
            around.append((node, []))
    return root


def _node(event: Any, anchors: dict[str, Node], document: Document) -> Node | None:
    """The node that an event starts, or the one that an alias means; None for events that are about the stream."""
    if not isinstance(event, events.NodeEvent):
        return None
    mark = _mark(event.start_mark)
    anchor = str(event.anchor)
    if isinstance(event, events.AliasEvent):
        if anchor not in anchors:
            document.note(mark, f"the alias *{anchor[:40]} has no anchor before it")
        return anchors.get(anchor, Text(mark, None, "", plain=True))
    node: Node
    if isinstance(event, events.ScalarEvent):
        tag = None if event.tag in (None, "!") else str(event.tag)
        node = Text(mark, tag, str(event.value), plain=bool(event.implicit[0]) and tag is None)
    else:
        tag = getattr(event, "tag", None)
        node = Map(mark, tag, []) if isinstance(event, events.MappingStartEvent) else List(mark, tag, [])
    if event.anchor:
        anchors[anchor] = node
    return node


def _close(node: List | Map, children: list[Node]) -> None:
    if isinstance(node, Map):
        node.items = list(zip(children[::2], children[1::2], strict=True))
    else:
        node.items = children


def note_syntax(document: Document, error: yaml.YAMLError) -> None:
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

"""pydantic's findings in cookline's words: what is wrong, where, and the nearest right word."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cookline.control.stack.document import Document
from cookline.control.stack.problems import Where
from cookline.control.stack.scalars import described
from cookline.errors import did_you_mean

M = TypeVar("M", bound=BaseModel)

WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}
# What YAML 1.1 took for a truth value and we take for text.
TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def validated(model: type[M], document: Document) -> M | None:
    """The document's data as a `model`, or None with the problems noted in the document."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        told = {(problem.position.line, problem.position.column) for problem in document.problems}
        for finding in error.errors(include_url=False):
            where, sentence, key = _told(model, finding)
            position = document.position(where, key=key)
            # a value that was refused by the parser is not refused again for being absent
            if (position.line, position.column) not in told or sentence.startswith("needs"):
                document.problem(where, sentence, key=key)
        return None


def _told(model: type[BaseModel], finding: Mapping[str, Any]) -> tuple[Where, str, bool]:
    where: Where = tuple(finding["loc"])
    kind, value = finding["type"], finding.get("input")
    if where and where[-1] == "[key]":
        return where[:-1], finding["msg"], True
    if kind == "extra_forbidden":
        around = _model_at(model, where[:-1])
        known = [name for name, each in around.model_fields.items() if each] if around else []
        name = str(where[-1])
        return where, f"unknown key {name[:60]!r}{did_you_mean(name, known) or _choice(known)}", True
    if kind == "missing":
        return where[:-1], f"{_subject(where[:-1])}needs `{where[-1]}`", True
    if kind == "literal_error":
        return where, _not_one_of(finding["ctx"]["expected"], value), False
    if kind == "too_short":
        return where, f"`{where[-1]}` must not be empty", False
    if kind in WANTED:
        return where, _wrong_type(where, kind, value), False
    if kind == "cookline":
        subject = _subject(where) if str(finding["msg"]).startswith(("needs", "wants", "is ", "has ", "holds ")) else ""
        return where, subject + finding["msg"], kind == "cookline" and str(finding["msg"]).startswith("needs")
    return where, f"{_subject(where)}{_lowered(str(finding['msg']))}, not {described(value)}", False


def _subject(where: Where) -> str:
    if not where:
        return "the file "
    numbered = isinstance(where[-1], int)
    return f"entry {int(where[-1]) + 1} of `{where[-2]}` " if numbered and len(where) > 1 else f"`{where[-1]}` "


def _wrong_type(where: Where, kind: str, value: Any) -> str:
    sentence = f"{_subject(where)}wants {WANTED[kind]}, not {described(value)}"
    if kind == "bool_type" and str(value).lower() in TRUTH:
        return f"{sentence}; write {TRUTH[str(value).lower()]}"
    if kind == "string_type" and isinstance(value, (int, float)):
        return f"{sentence}; write it in quotes"
    return sentence


def _not_one_of(expected: str, value: Any) -> str:
    choices = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
    near = did_you_mean(str(value), choices)
    return f"{described(value)} is not one of {', '.join(choices)}{near}"


def _choice(known: list[str]) -> str:
    return f"; known are {', '.join(known)}" if known else ""


def _lowered(message: str) -> str:
    return message.replace("Input should", "should").replace("String should", "should")


def _model_at(model: type[BaseModel], where: Where) -> type[BaseModel] | None:
    """The model that describes the mapping at `where`."""
    current: Any = model
    for part in where:
        current = _unwrapped(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            known = current.model_fields.get(str(part))
            current = known.annotation if known else None
        elif typing.get_origin(current) is dict:
            current = typing.get_args(current)[1]
        else:
            return None
    current = _unwrapped(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _unwrapped(annotation: Any) -> Any:
    """Without Annotated and without `| None`."""
    while True:
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated or (len(arguments) == 2 and arguments[1] is type(None)):
            annotation = arguments[0]
        else:
            return annotation

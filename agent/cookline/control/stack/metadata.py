"""What a cookbook.yml says, and whether a value has the type that it declares."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cookline.control.stack.document import Document
from cookline.control.stack.models import Model
from cookline.control.stack.scalars import described
from cookline.control.stack.secrets import SecretReference
from cookline.control.stack.values import Names, Texts, as_mapping, as_tuple, named, wrong
from cookline.errors import did_you_mean

TypeName = Literal["string", "integer", "number", "boolean", "list", "list[string]", "list[integer]", "mapping", "any"]
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str, SecretReference),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "mapping": (dict,),
    "any": (object,),
}
WANTED = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "mapping": "a mapping",
    "list[string]": "a list of texts",
    "list[integer]": "a list of whole numbers",
}

AttributeName = Annotated[
    str,
    named(
        re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"),
        "an attribute's name: letters, digits, '_' and '-'; a dot goes into a mapping",
    ),
]


class AttributeType(Model):
    """The declaration of one attribute. `default: null` is a default; no `default` at all means that there is none."""

    type: TypeName = "any"
    default: Any = None
    required: bool = False
    doc: str = ""
    choices: Annotated[tuple[Any, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_default(cls, data: Any) -> Any:
        return {} if data is None else data

    @model_validator(mode="after")
    def _sensible(self) -> AttributeType:
        if self.required and "default" in self.model_fields_set:
            raise wrong("has a default, so that `required` would never be asked for")
        return self


def _version(text: str) -> str:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,3}", text):
        raise wrong(f"{text[:40]!r} is no version: write three numbers, such as 1.4.0")
    return text


class Metadata(Model):
    """A cookbook.yml."""

    name: str | None = None
    version: Annotated[str, AfterValidator(_version)] = "0.1.0"
    description: str = ""
    license: str = ""
    maintainer: str = ""
    depends: Names = ()
    supports: Texts = ()
    attributes: Annotated[dict[AttributeName, AttributeType], BeforeValidator(as_mapping)] = Field(default_factory=dict)


def check_declarations(metadata: Metadata, document: Document) -> None:
    """Note defaults that contradict their type, and names that are both a value and a mapping of others."""
    for name, declared in metadata.attributes.items():
        where = ("attributes", name)
        if "default" in declared.model_fields_set:
            sentence = type_problem(declared, declared.default)
            if sentence:
                document.problem((*where, "default"), f"the default of {name!r} {sentence}")
        inside = [other for other in metadata.attributes if other.startswith(f"{name}.")]
        if inside and declared.type not in ("mapping", "any"):
            document.problem(where, f"{name!r} is declared as {declared.type}, and {inside[0]!r} lies inside of it", key=True)
        elif inside and "default" in declared.model_fields_set:
            document.problem(where, f"{name!r} has a default, and {inside[0]!r} lies inside of it", key=True)


def type_problem(declared: AttributeType, value: Any) -> str | None:
    """ "wants a whole number, not the text 'x'", or None when the value fits. Null fits where nothing is required."""
    if value is None and not declared.required:
        return None
    if declared.choices and value not in declared.choices:
        choices = ", ".join(str(choice) for choice in declared.choices)
        return f"is {described(value)}; it is one of {choices}{did_you_mean(str(value), map(str, declared.choices))}"
    kind, _, item_kind = declared.type.rstrip("]").partition("[")
    if not _is(value, kind) or (item_kind and not all(_is(item, item_kind) for item in value)):
        wrong = next((item for item in value if not _is(item, item_kind)), value) if item_kind and _is(value, kind) else value
        inside = " in it" if wrong is not value else ""
        return f"wants {WANTED.get(declared.type, declared.type)}, not {described(wrong)}{inside}"
    return None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return isinstance(value, KINDS[kind])

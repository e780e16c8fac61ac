"""What single values of a definition may be: names, times, addresses, secrets, hours."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from cookline.control.stack.scalars import described
from cookline.control.stack.secrets import SecretReference, to_plain
from cookline.control.stack.weekly import HoursError, hours_of

# features O2: 200 characters of [A-Za-z0-9_.-]; the first one no dot or dash, as names become paths and arguments.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
# An instance's name becomes its host name (RFC 1123: 63 characters).
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
RECIPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:::[A-Za-z0-9_][A-Za-z0-9_-]*)?")
ADDRESS = re.compile(r"[A-Za-z0-9_:\[][A-Za-z0-9_.:%\[\]-]{0,254}")
DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?")

# features O51 and O58
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
VARIABLE_VALUE_LENGTH = 256
ENVIRONMENT_BYTES = 20 * 1024
CUSTOM_DATA_BYTES = 120 * 1024


def wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("cookline", "{sentence}", {"sentence": sentence})


def seconds(value: Any) -> float:
    """`30m`, `1h30m`, `120s`, `120` as seconds. Raises PydanticCustomError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**9:
        return float(value)
    parts = DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if parts is None:
        raise wrong(f"wants a time such as 90s, 30m or 1h30m, not {described(value)}")
    hours, minutes, rest = (int(part or 0) for part in parts.groups())
    return float(hours * 3600 + minutes * 60 + rest)


def as_tuple(value: Any) -> Any:
    """Lists stay what they are; nothing is an empty list; anything else is refused in our words."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    if value is None:
        return ()
    raise wrong(f"wants a list, not {described(value)}" + (f"; write [{value}]" if isinstance(value, str) else ""))


def as_mapping(value: Any) -> Any:
    return {} if value is None else value


def named(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise wrong(f"{text[:60]!r} is not {what}")
        return text

    return AfterValidator(check)


def _recipe(text: str) -> str:
    if not RECIPE.fullmatch(text):
        raise wrong(f"{text[:60]!r} is no recipe: write cookbook::recipe, or cookbook for cookbook::default")
    return text if "::" in text else f"{text}::default"


def _address(text: str) -> str:
    if not ADDRESS.fullmatch(text):
        raise wrong(f"{text[:60]!r} is no host name or IP address")
    return text


def _custom_data(value: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(to_plain(value)).encode())
    if size > CUSTOM_DATA_BYTES:
        raise wrong(f"is too large: {size} bytes as JSON (maximum is 120 KB)")
    return value


def _environment_value(value: Any) -> str | SecretReference:
    if isinstance(value, SecretReference):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        quotes = "; write it in quotes" if isinstance(value, (bool, float)) else ""
        raise wrong(f"wants text, not {described(value)}{quotes}")
    if len(value) > VARIABLE_VALUE_LENGTH:
        raise wrong(f"has {len(value)} characters (maximum is {VARIABLE_VALUE_LENGTH})")
    if not value.isprintable():
        raise wrong("holds a character that cannot be printed")
    return value


def _environment(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(to_plain(value)).encode()) > ENVIRONMENT_BYTES:
        raise wrong("is too large (maximum is 20 KB)")
    return value


def _secret_or_text(value: Any) -> Any:
    if not isinstance(value, (str, SecretReference)):
        raise wrong(f"wants text or a !secret, not {described(value)}")
    return value


def _secret_only(value: Any) -> Any:
    if not isinstance(value, SecretReference):
        raise wrong("wants a !secret, such as `!secret env:NAME` or `!secret file:PATH`")
    return value


NAME_RULE = "a name: at most 200 of A-Z, a-z, 0-9, '_', '.' and '-', the first one no '.' or '-'"
HOST_RULE = "a host's name: at most 63 letters, digits and '-'"
VARIABLE_RULE = "a variable's name: at most 64 of A-Z, a-z, 0-9 and '_', no digit first"
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}")
PYTHON = re.compile(r"[A-Za-z0-9_./+-]{1,200}")
# No leading dash: these become arguments of git.
GIT_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]{0,199}")
SHA256 = re.compile(r"[0-9a-f]{64}")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ENDPOINT = re.compile(r"https?://[^\s/@]+(?:/\S*)?")

Name = Annotated[str, named(NAME, NAME_RULE)]
HostName = Annotated[str, named(HOST_NAME, HOST_RULE)]
VariableName = Annotated[str, named(VARIABLE_NAME, VARIABLE_RULE)]
Seconds = Annotated[float, BeforeValidator(seconds, json_schema_input_type=str | float)]
RecipeAddress = Annotated[str, AfterValidator(_recipe)]
Address = Annotated[str, AfterValidator(_address)]
Names = Annotated[tuple[Name, ...], BeforeValidator(as_tuple)]
Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
RecipeList = Annotated[tuple[RecipeAddress, ...], BeforeValidator(as_tuple)]
Attributes = Annotated[dict[str, Any], BeforeValidator(as_mapping), AfterValidator(_custom_data)]
EnvironmentValue = Annotated[Any, BeforeValidator(_environment_value, json_schema_input_type=str | int)]
Environment = Annotated[dict[VariableName, EnvironmentValue], BeforeValidator(as_mapping), AfterValidator(_environment)]
SecretOnly = Annotated[Any, BeforeValidator(_secret_only, json_schema_input_type=str)]
SecretText = Annotated[Any, BeforeValidator(_secret_or_text, json_schema_input_type=str)]


def _hours(value: Any) -> tuple[str, ...]:
    """`8-18`, `9`, or a list of such, checked, as texts."""
    spans = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
    texts = tuple(str(span) if type(span) is int else span for span in spans)
    try:
        hours_of(texts)
    except HoursError as error:
        raise wrong(f"{error}, not {described(error.span)}") from None
    return texts


Hours = Annotated[tuple[str, ...], BeforeValidator(_hours, json_schema_input_type=str | int | list[str | int])]
Minutes = Annotated[Seconds, Field(ge=60, le=6000)]  # features O33: 1 to 100 minutes
Threshold = Annotated[float, Field(ge=-1)]

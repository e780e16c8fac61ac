"""What a stack definition may say: frozen pydantic models with the limits of OpsWorks where it had any.

Values are checked as they are written: a number in quotes is text, so is `yes`. An empty value (`recipes:`) means the default.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from cookline.control.stack import ec2_settings
from cookline.control.stack.scalars import described
from cookline.control.stack.secrets import SecretReference, to_plain

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


def _error(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("cookline", "{sentence}", {"sentence": sentence})


def seconds(value: Any) -> float:
    """`30m`, `1h30m`, `120s`, `120` as seconds. Raises PydanticCustomError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**9:
        return float(value)
    parts = DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if parts is None:
        raise _error(f"wants a time such as 90s, 30m or 1h30m, not {described(value)}")
    hours, minutes, rest = (int(part or 0) for part in parts.groups())
    return float(hours * 3600 + minutes * 60 + rest)


def _tuple(value: Any) -> Any:
    """Lists stay what they are; nothing is an empty list; anything else is refused in our words."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    if value is None:
        return ()
    raise _error(f"wants a list, not {described(value)}" + (f"; write [{value}]" if isinstance(value, str) else ""))


def _mapping(value: Any) -> Any:
    return {} if value is None else value


def _named(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise _error(f"{text[:60]!r} is not {what}")
        return text

    return AfterValidator(check)


def _recipe(text: str) -> str:
    if not RECIPE.fullmatch(text):
        raise _error(f"{text[:60]!r} is no recipe: write cookbook::recipe, or cookbook for cookbook::default")
    return text if "::" in text else f"{text}::default"


def _address(text: str) -> str:
    if not ADDRESS.fullmatch(text):
        raise _error(f"{text[:60]!r} is no host name or IP address")
    return text


def _custom_data(value: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(to_plain(value)).encode())
    if size > CUSTOM_DATA_BYTES:
        raise _error(f"is too large: {size} bytes as JSON (maximum is 120 KB)")
    return value


def _environment_value(value: Any) -> str | SecretReference:
    if isinstance(value, SecretReference):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        quotes = "; write it in quotes" if isinstance(value, (bool, float)) else ""
        raise _error(f"wants text, not {described(value)}{quotes}")
    if len(value) > VARIABLE_VALUE_LENGTH:
        raise _error(f"has {len(value)} characters (maximum is {VARIABLE_VALUE_LENGTH})")
    if not value.isprintable():
        raise _error("holds a character that cannot be printed")
    return value


def _environment(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(to_plain(value)).encode()) > ENVIRONMENT_BYTES:
        raise _error("is too large (maximum is 20 KB)")
    return value


def _secret_or_text(value: Any) -> Any:
    if not isinstance(value, (str, SecretReference)):
        raise _error(f"wants text or a !secret, not {described(value)}")
    return value


def _secret_only(value: Any) -> Any:
    if not isinstance(value, SecretReference):
        raise _error("wants a !secret, such as `!secret env:NAME` or `!secret file:PATH`")
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
FIELDS_OF_SOURCE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # type: (fields that it needs, fields that it may have)
    "local": (("path",), ()),
    "git": (("url",), ("revision", "path", "submodules", "deploy_key", "user", "password")),
    "archive": (("url",), ("sha256", "strip", "user", "password")),
    "s3": (("bucket", "key"), ("version", "region", "endpoint", "access_key", "secret_key", "sha256", "strip")),
}
# Nobody's password stands in a URL: it would stand in the definition, in the store and in every diff.
URLS = {
    "git": re.compile(
        r"(?:https?://[^\s/@]+/\S+|ssh://[^\s/:-][^\s/:]*(?::\d+)?/\S+|file:///\S+|[./~]\S*|[A-Za-z0-9_.-]+@[^\s:/-][^\s:/]*:\S+)"
    ),
    "archive": re.compile(r"https?://[^\s/@]+/\S*"),
}
URL_RULES = {
    "git": "https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or the path of a repository",
    "archive": "http:// or https://, without user and password",
}
ENDPOINT = re.compile(r"https?://[^\s/@]+(?:/\S*)?")

Name = Annotated[str, _named(NAME, NAME_RULE)]
HostName = Annotated[str, _named(HOST_NAME, HOST_RULE)]
VariableName = Annotated[str, _named(VARIABLE_NAME, VARIABLE_RULE)]
Seconds = Annotated[float, BeforeValidator(seconds, json_schema_input_type=str | float)]
RecipeAddress = Annotated[str, AfterValidator(_recipe)]
Address = Annotated[str, AfterValidator(_address)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_tuple)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
RecipeList = Annotated[tuple[RecipeAddress, ...], BeforeValidator(_tuple)]
Attributes = Annotated[dict[str, Any], BeforeValidator(_mapping), AfterValidator(_custom_data)]
EnvironmentValue = Annotated[Any, BeforeValidator(_environment_value, json_schema_input_type=str | int)]
Environment = Annotated[dict[VariableName, EnvironmentValue], BeforeValidator(_mapping), AfterValidator(_environment)]
SecretOnly = Annotated[Any, BeforeValidator(_secret_only, json_schema_input_type=str)]
SecretText = Annotated[Any, BeforeValidator(_secret_or_text, json_schema_input_type=str)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_default(cls, data: Any) -> Any:
        if data is None:
            return {}
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

    def plain(self, *, given: bool = False) -> dict[str, Any]:
        """JSON data; `given=True` only what was written down. (pydantic's own dump takes secret references apart.)"""
        names = [name for name in type(self).model_fields if not given or name in self.model_fields_set]
        return {name: _plain(getattr(self, name)) for name in names}

    def compact(self) -> dict[str, Any]:
        """JSON data of what differs from the defaults: about what somebody would write down."""
        fields = type(self).model_fields
        given = {name: value for name, value in self if fields[name].is_required() or value != fields[name].get_default()}
        return {name: _compact(value) for name, value in given.items()}


def _compact(value: Any) -> Any:
    if isinstance(value, Model):
        return value.compact()
    if isinstance(value, dict):
        return {name: _compact(item) for name, item in value.items()}
    return to_plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.plain()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return to_plain(value)


class Recipes(Model):
    """The recipes of a layer for each lifecycle event, in order."""

    setup: RecipeList = ()
    configure: RecipeList = ()
    deploy: RecipeList = ()
    undeploy: RecipeList = ()
    shutdown: RecipeList = ()


class Drift(Model):
    """How the resident agent looks for differences: each `interval` s plus up to `splay` s, and on file events (`watch`)."""

    interval: Seconds = 1800.0
    splay: Seconds = 300.0
    policy: Literal["report", "correct"] = "report"
    watch: bool = True


class Layer(Model):
    """A role: what its instances run. `name` is for people; the key in `layers` is what everything else refers to."""

    name: str | None = None
    recipes: Recipes = Recipes()
    attributes: Attributes = {}
    shutdown_timeout: Seconds = 120.0  # features O22
    drift: Drift = Drift()
    auto_heal: bool = True  # features O35


class Instance(Model):
    """A host. `provider` says where it comes from, `transport` how it is reached."""

    layers: Annotated[Names, Field(min_length=1)]
    provider: Literal["static", "container", "ec2"] = "static"
    transport: Literal["ssh", "local", "dummy"] = "ssh"
    address: Address | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    user: Annotated[str, _named(USER, "a user's name")] | None = None
    identity_file: str | None = None
    ssh_config: str | None = None
    connect_timeout: Seconds = 10.0
    python: Annotated[str, _named(PYTHON, "the path of a Python on the host")] = "python3"
    become: bool = True
    bootstrap: Literal["apt"] | None = None
    report: Literal["ssh", "https"] | None = None
    attributes: Attributes = {}
    settings: Annotated[dict[str, Any], BeforeValidator(_mapping)] = {}

    @model_validator(mode="after")
    def _reachable(self) -> Instance:
        if self.provider == "static" and self.transport == "ssh" and self.address is None:
            raise _error("needs an `address`: its provider is static")
        wrong = ec2_settings.problem(self.settings) if self.provider == "ec2" else None
        if wrong:
            raise _error(wrong)
        return self


class Source(Model):
    """Where an app's files come from; FIELDS_OF_SOURCE says which fields each type has.

    local    path: a folder, relative to the stack file
    git      url: https, ssh, user@host:path or a path; revision: branch, tag or full hash, the repository's default without;
             path: a folder inside; submodules; deploy_key: a private key; user and password for https
    archive  url: http or https, of a tar (plain, gz, bz2, xz) or zip; sha256; strip: leading folders that are dropped
    s3       bucket, key: of such an archive; version, region, endpoint, access_key and secret_key
    """

    type: Literal["local", "git", "archive", "s3"] = "local"
    path: str | None = None
    url: str | None = None
    revision: Annotated[str, _named(GIT_REVISION, "a branch, a tag or a full hash")] | None = None
    submodules: bool = True
    deploy_key: SecretOnly | None = None
    user: Annotated[str, _named(USER, "a user's name")] | None = None
    password: SecretOnly | None = None
    sha256: Annotated[str, _named(SHA256, "a sha256: 64 digits of 0-9 and a-f")] | None = None
    strip: Annotated[int, Field(ge=0, le=20)] = 0
    bucket: Annotated[str, _named(BUCKET, "the name of a bucket")] | None = None
    key: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    version: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None
    endpoint: Annotated[str, _named(ENDPOINT, "an address such as https://HOST:PORT")] | None = None
    access_key: SecretOnly | None = None
    secret_key: SecretOnly | None = None

    @model_validator(mode="after")
    def _fields_of_its_type(self) -> Source:
        needed, allowed = FIELDS_OF_SOURCE[self.type]
        for name in needed:
            if getattr(self, name) is None:
                raise _error(f"needs `{name}`: its type is {self.type}")
        for name in self.model_fields_set - {"type", *needed, *allowed}:
            if getattr(self, name) != type(self).model_fields[name].get_default():
                raise _error(f"has `{name}`, which a source of type {self.type} does not know")
        if self.url is not None and not URLS[self.type].fullmatch(self.url):
            raise _error(f"has the url {self.url[:100]!r}; a source of type {self.type} takes {URL_RULES[self.type]}")
        return self


class App(Model):
    """What is deployed: to /srv/www/KEY on the instances of its layers."""

    name: str | None = None
    layers: Annotated[Names, Field(min_length=1)]
    source: Source | None = None
    environment: Environment = {}
    attributes: Attributes = {}
    keep_releases: Annotated[int, Field(ge=1, le=100)] = 5  # features O47


class Metrics(Model):
    """Where the agents' metrics go. Without an endpoint they go to the sink of `cookline server`.

    `ca` is the path of a PEM file on the hosts; None trusts what the host trusts.
    """

    endpoint: Annotated[str, _named(ENDPOINT, "an address such as https://HOST:PORT")] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
    period: Annotated[Seconds, Field(ge=1, le=86400)] = 60.0
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/#:-]{1,255}$")] = "AWS/OpsWorks"
    report: Literal["ssh", "https"] = "ssh"
    access_key: SecretText | None = None
    secret_key: SecretText | None = None
    ca: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Metrics:
        if self.report == "https" and self.endpoint is None:
            raise _error("`report: https` needs an `endpoint`")
        return self


class Stack(Model):
    """A stack definition. Layers, instances and apps are mappings by name, in the order of the file."""

    stack: Name
    cookbooks: Texts = ()
    attributes: Attributes = {}
    layers: Annotated[dict[Name, Layer], BeforeValidator(_mapping)] = {}
    instances: Annotated[dict[HostName, Instance], BeforeValidator(_mapping)] = {}
    apps: Annotated[dict[Name, App], BeforeValidator(_mapping)] = {}
    metrics: Metrics = Metrics()

    @property
    def name(self) -> str:
        return self.stack

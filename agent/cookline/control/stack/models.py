"""What a stack definition may say: frozen pydantic models with the limits of OpsWorks where it had any.

Values are checked as they are written: a number in quotes is text, so is `yes`. An empty value (`recipes:`) means the default.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cookline.control.stack import ec2_settings
from cookline.control.stack.secrets import to_plain
from cookline.control.stack.values import (
    BUCKET,
    ENDPOINT,
    GIT_REVISION,
    PYTHON,
    SHA256,
    USER,
    Address,
    Attributes,
    Environment,
    HostName,
    Hours,
    Minutes,
    Name,
    Names,
    RecipeList,
    Seconds,
    SecretOnly,
    SecretText,
    Texts,
    Threshold,
    as_mapping,
    named,
    wrong,
)
from cookline.control.stack.weekly import automatic

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


class Schedule(Model):
    """When a time-based instance runs, by hours of UTC: `8-18` from 8:00 to 18:00, `9` that one hour, or a list of such.

    What is not named is off. `weekdays`, `weekend` and `daily` add to their days (features O32).
    """

    monday: Hours = ()
    tuesday: Hours = ()
    wednesday: Hours = ()
    thursday: Hours = ()
    friday: Hours = ()
    saturday: Hours = ()
    sunday: Hours = ()
    weekdays: Hours = ()
    weekend: Hours = ()
    daily: Hours = ()


class Thresholds(Model):
    """When a layer changes its size: averages over its instances, -1 turns one off.

    cpu        percent in use
    memory     percent in use
    load       average over one minute
    wait       for so long each minute must say the same
    ignore     after a change, for so long nothing is looked at
    instances  how many are started or stopped at once
    """

    cpu: Threshold = -1
    memory: Threshold = -1
    load: Threshold = -1
    wait: Minutes = 300.0
    ignore: Minutes = 300.0
    instances: Annotated[int, Field(ge=1, le=100)] = 1


class Scaling(Model):
    """The load at which instances with `load: true` are started (any of `up` is exceeded) and stopped (all is below `down`)."""

    up: Thresholds | None = None
    down: Thresholds | None = None


class Drain(Model):
    """Before an instance of the layer stops, those of `layers` (without: all) are configured without it; then `wait` s pass."""

    layers: Names = ()
    wait: Seconds = 0.0


class Layer(Model):
    """A role: what its instances run. `name` is for people; the key in `layers` is what everything else refers to."""

    name: str | None = None
    recipes: Recipes = Recipes()
    attributes: Attributes = {}
    shutdown_timeout: Seconds = 120.0  # features O22
    drain: Drain | None = None
    drift: Drift = Drift()
    auto_heal: bool = True  # features O35
    scaling: Scaling | None = None  # features O33


class Instance(Model):
    """A host. `provider` says where it comes from, `transport` how it is reached."""

    layers: Annotated[Names, Field(min_length=1)]
    provider: Literal["static", "container", "vagrant", "ec2"] = "static"
    transport: Literal["ssh", "local", "dummy"] = "ssh"
    address: Address | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    user: Annotated[str, named(USER, "a user's name")] | None = None
    identity_file: str | None = None
    ssh_config: str | None = None
    connect_timeout: Seconds = 10.0
    python: Annotated[str, named(PYTHON, "the path of a Python on the host")] = "python3"
    become: bool = True
    bootstrap: Literal["apt"] | None = None
    report: Literal["ssh", "https"] | None = None
    schedule: Schedule | None = None
    load: bool = False
    attributes: Attributes = {}
    settings: Annotated[dict[str, Any], BeforeValidator(as_mapping)] = {}

    @model_validator(mode="after")
    def _reachable(self) -> Instance:
        if self.provider == "static" and self.transport == "ssh" and self.address is None:
            raise wrong("needs an `address`: its provider is static")
        problem = ec2_settings.problem(self.settings) if self.provider == "ec2" else None
        if problem:
            raise wrong(problem)
        return self

    @model_validator(mode="after")
    def _started_by_one(self) -> Instance:
        if self.schedule is not None and self.load:
            raise wrong("has a `schedule` and `load: true`: an instance is started by one of them")
        if automatic(self.schedule, self.load) and self.provider == "static":
            word = "schedule" if self.schedule is not None else "load"
            raise wrong(f"has `{word}`: its provider, static, cannot start and stop it")
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
    revision: Annotated[str, named(GIT_REVISION, "a branch, a tag or a full hash")] | None = None
    submodules: bool = True
    deploy_key: SecretOnly | None = None
    user: Annotated[str, named(USER, "a user's name")] | None = None
    password: SecretOnly | None = None
    sha256: Annotated[str, named(SHA256, "a sha256: 64 digits of 0-9 and a-f")] | None = None
    strip: Annotated[int, Field(ge=0, le=20)] = 0
    bucket: Annotated[str, named(BUCKET, "the name of a bucket")] | None = None
    key: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    version: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None
    endpoint: Annotated[str, named(ENDPOINT, "an address such as https://HOST:PORT")] | None = None
    access_key: SecretOnly | None = None
    secret_key: SecretOnly | None = None

    @model_validator(mode="after")
    def _fields_of_its_type(self) -> Source:
        needed, allowed = FIELDS_OF_SOURCE[self.type]
        for name in needed:
            if getattr(self, name) is None:
                raise wrong(f"needs `{name}`: its type is {self.type}")
        for name in self.model_fields_set - {"type", *needed, *allowed}:
            if getattr(self, name) != type(self).model_fields[name].get_default():
                raise wrong(f"has `{name}`, which a source of type {self.type} does not know")
        if self.url is not None and not URLS[self.type].fullmatch(self.url):
            raise wrong(f"has the url {self.url[:100]!r}; a source of type {self.type} takes {URL_RULES[self.type]}")
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

    endpoint: Annotated[str, named(ENDPOINT, "an address such as https://HOST:PORT")] | None = None
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
            raise wrong("`report: https` needs an `endpoint`")
        return self


class Stack(Model):
    """A stack definition. Layers, instances and apps are mappings by name, in the order of the file."""

    stack: Name
    cookbooks: Texts = ()
    attributes: Attributes = {}
    layers: Annotated[dict[Name, Layer], BeforeValidator(as_mapping)] = {}
    instances: Annotated[dict[HostName, Instance], BeforeValidator(as_mapping)] = {}
    apps: Annotated[dict[Name, App], BeforeValidator(as_mapping)] = {}
    metrics: Metrics = Metrics()
    # how long an agent may be silent (features O34); it beats once a minute
    keepalive: Annotated[Seconds, Field(ge=120, le=86400)] = 300.0
    # newest runs of each instance of which reports are kept (features O94)
    keep_runs: Annotated[int, Field(ge=30, le=10_000)] = 30

    @property
    def name(self) -> str:
        return self.stack

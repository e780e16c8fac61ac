"""The `settings` of an instance whose provider is ec2: checked when a stack is read, and again by the provider."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cookline.control.stack.scalars import described
from cookline.errors import did_you_mean

# EC2's own limit, before base64.
USER_DATA_BYTES = 16 * 1024
MOST_TAGS = 40


def _text(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _groups(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= 16 and all(map(_text("sg-[0-9a-f]{8,17}"), value))


def _tags(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MOST_TAGS
        and all(isinstance(key, str) and 0 < len(key) <= 128 and not key.startswith(("aws:", "cookline:")) for key in value)
        and all(isinstance(each, str) and len(each) <= 256 for each in value.values())
    )


def _volume(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 16_384


@dataclass(frozen=True)
class Setting:
    """One key of `settings`: what is right, and how an error says so."""

    rule: str
    good: Callable[[Any], bool]
    required: bool = False


SETTINGS: Mapping[str, Setting] = {
    "image": Setting("an AMI such as ami-0123456789abcdef0", _text("ami-[0-9a-f]{8,17}"), required=True),
    "region": Setting("a region such as eu-central-1", _text("[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")),
    "type": Setting("a type such as t3.micro", _text("[a-z][a-z0-9-]*\\.[a-z0-9-]+")),
    "key_pair": Setting("the name of a key pair", _text("[ -~]{1,255}")),
    "subnet": Setting("a subnet such as subnet-0123456789abcdef0", _text("subnet-[0-9a-f]{8,17}")),
    "security_groups": Setting("a list of groups such as sg-0123456789abcdef0", _groups),
    "role": Setting("the name of an instance profile", _text("[A-Za-z0-9+=,.@_-]{1,128}")),
    "public_address": Setting("true or false", lambda value: isinstance(value, bool)),
    "connect": Setting("public or private", lambda value: value in ("public", "private")),
    "volume": Setting("the size of the first disk in GB", _volume),
    "user_data": Setting(
        "text of at most 16 KB", lambda value: isinstance(value, str) and len(value.encode()) <= USER_DATA_BYTES
    ),
    "tags": Setting(f"at most {MOST_TAGS} texts by name, no name with aws: or cookline:", _tags),
    "user": Setting("the user that the image knows", _text("[a-z_][a-z0-9_-]{0,31}")),
    "profile": Setting("a profile of ~/.aws/config", _text("[ -~]{1,128}")),
    "endpoint": Setting("an address such as https://HOST:PORT", _text("https?://[^\\s/@]+(?:/\\S*)?")),
}


def problem(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with the settings, as a sentence that follows the name of the instance; None when they are good."""
    for name, value in settings.items():
        known = SETTINGS.get(name)
        if known is None:
            return f"has the setting {name[:60]!r}, which ec2 does not know{did_you_mean(name, SETTINGS)}"
        if not known.good(value):
            return f"has the setting `{name}`, which wants {known.rule}, not {described(value)}"
    lacking = next((name for name, each in SETTINGS.items() if each.required and name not in settings), None)
    return f"needs `settings: {{{lacking}: ..}}`: its provider is ec2" if lacking else None

"""The names that a recipe author imports. They are loaded on first use; nothing inside the tree imports from here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, List

# name -> module; the public surface, tested by tests/unit/test_house.py
EXPORTS = {
    "Node": "cookline.host.run.node",
    "Outcome": "cookline.host.run.node",
    "Resource": "cookline.host.resources.base",
    "Action": "cookline.host.resources.base",
    "State": "cookline.host.resources.base",
    "Changes": "cookline.host.resources.base",
    "CannotKnow": "cookline.host.foresight",
    "ResourceError": "cookline.errors",
    "ResourceUsageError": "cookline.errors",
    "field": "cookline.host.resources.base",
    "System": "cookline.host.system",
    "Package": "cookline.host.resources.package",
    "File": "cookline.host.resources.file",
    "CookbookFile": "cookline.host.resources.cookbook_file",
    "Template": "cookline.host.resources.template",
    "Directory": "cookline.host.resources.directory",
    "Link": "cookline.host.resources.link",
    "User": "cookline.host.resources.user",
    "AuthorizedKey": "cookline.host.resources.authorized_key",
    "Sudoers": "cookline.host.resources.sudoers",
    "EnvironmentVariable": "cookline.host.resources.environment_variable",
    "Logrotate": "cookline.host.resources.logrotate",
    "Limits": "cookline.host.resources.limits",
    "SystemdTimer": "cookline.host.resources.systemd_timer",
    "Hostname": "cookline.host.resources.hostname",
    "HostsEntry": "cookline.host.resources.hosts_entry",
    "Timezone": "cookline.host.resources.timezone",
    "Locale": "cookline.host.resources.locale",
    "Sysctl": "cookline.host.resources.sysctl",
    "KernelModule": "cookline.host.resources.kernel_module",
    "CaCertificate": "cookline.host.resources.ca_certificate",
    "FirewallRule": "cookline.host.resources.firewall_rule",
    "Script": "cookline.host.resources.script",
    "Git": "cookline.host.resources.git",
    "HttpRequest": "cookline.host.resources.http_request",
    "Notify": "cookline.host.resources.actions",
    "Reboot": "cookline.host.resources.reboot",
    "Group": "cookline.host.resources.group",
    "Service": "cookline.host.resources.service",
    "SystemdUnit": "cookline.host.resources.systemd_unit",
    "Cron": "cookline.host.resources.cron",
    "Execute": "cookline.host.resources.execute",
    "LineInFile": "cookline.host.resources.line_in_file",
    "BlockInFile": "cookline.host.resources.block_in_file",
    "IniSetting": "cookline.host.resources.ini_setting",
    "Absent": "cookline.host.resources.absent",
    "Mount": "cookline.host.resources.mount",
    "SwapFile": "cookline.host.resources.swap_file",
    "RemoteDirectory": "cookline.host.resources.remote_directory",
    "RemoteFile": "cookline.host.resources.remote_file",
    "Archive": "cookline.host.resources.archive",
    "AptRepository": "cookline.host.resources.apt_repository",
    "DnfRepository": "cookline.host.resources.dnf_repository",
    "PackageUpdates": "cookline.host.resources.package_updates",
    "Virtualenv": "cookline.host.resources.virtualenv",
    "Release": "cookline.host.resources.release",
    "Restart": "cookline.host.resources.actions",
    "Reload": "cookline.host.resources.actions",
    "Run": "cookline.host.resources.actions",
}

if TYPE_CHECKING:
    from cookline.errors import ResourceError as ResourceError
    from cookline.errors import ResourceUsageError as ResourceUsageError
    from cookline.host.foresight import CannotKnow as CannotKnow
    from cookline.host.resources.absent import Absent as Absent
    from cookline.host.resources.actions import Notify as Notify
    from cookline.host.resources.actions import Reload as Reload
    from cookline.host.resources.actions import Restart as Restart
    from cookline.host.resources.actions import Run as Run
    from cookline.host.resources.apt_repository import AptRepository as AptRepository
    from cookline.host.resources.archive import Archive as Archive
    from cookline.host.resources.authorized_key import AuthorizedKey as AuthorizedKey
    from cookline.host.resources.base import Action as Action
    from cookline.host.resources.base import Changes as Changes
    from cookline.host.resources.base import Resource as Resource
    from cookline.host.resources.base import State as State
    from cookline.host.resources.base import field as field
    from cookline.host.resources.block_in_file import BlockInFile as BlockInFile
    from cookline.host.resources.ca_certificate import CaCertificate as CaCertificate
    from cookline.host.resources.cookbook_file import CookbookFile as CookbookFile
    from cookline.host.resources.cron import Cron as Cron
    from cookline.host.resources.directory import Directory as Directory
    from cookline.host.resources.dnf_repository import DnfRepository as DnfRepository
    from cookline.host.resources.environment_variable import EnvironmentVariable as EnvironmentVariable
    from cookline.host.resources.execute import Execute as Execute
    from cookline.host.resources.file import File as File
    from cookline.host.resources.firewall_rule import FirewallRule as FirewallRule
    from cookline.host.resources.git import Git as Git
    from cookline.host.resources.group import Group as Group
    from cookline.host.resources.hostname import Hostname as Hostname
    from cookline.host.resources.hosts_entry import HostsEntry as HostsEntry
    from cookline.host.resources.http_request import HttpRequest as HttpRequest
    from cookline.host.resources.ini_setting import IniSetting as IniSetting
    from cookline.host.resources.kernel_module import KernelModule as KernelModule
    from cookline.host.resources.limits import Limits as Limits
    from cookline.host.resources.line_in_file import LineInFile as LineInFile
    from cookline.host.resources.link import Link as Link
    from cookline.host.resources.locale import Locale as Locale
    from cookline.host.resources.logrotate import Logrotate as Logrotate
    from cookline.host.resources.mount import Mount as Mount
    from cookline.host.resources.package import Package as Package
    from cookline.host.resources.package_updates import PackageUpdates as PackageUpdates
    from cookline.host.resources.reboot import Reboot as Reboot
    from cookline.host.resources.release import Release as Release
    from cookline.host.resources.remote_directory import RemoteDirectory as RemoteDirectory
    from cookline.host.resources.remote_file import RemoteFile as RemoteFile
    from cookline.host.resources.script import Script as Script
    from cookline.host.resources.service import Service as Service
    from cookline.host.resources.sudoers import Sudoers as Sudoers
    from cookline.host.resources.swap_file import SwapFile as SwapFile
    from cookline.host.resources.sysctl import Sysctl as Sysctl
    from cookline.host.resources.systemd_timer import SystemdTimer as SystemdTimer
    from cookline.host.resources.systemd_unit import SystemdUnit as SystemdUnit
    from cookline.host.resources.template import Template as Template
    from cookline.host.resources.timezone import Timezone as Timezone
    from cookline.host.resources.user import User as User
    from cookline.host.resources.virtualenv import Virtualenv as Virtualenv
    from cookline.host.run.node import Node as Node
    from cookline.host.run.node import Outcome as Outcome
    from cookline.host.system import System as System


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"cookline has no {name!r}")
    value = getattr(importlib.import_module(EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted(EXPORTS)

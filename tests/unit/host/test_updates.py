"""Which updates wait: what apt-get and dnf print, by examples."""

from __future__ import annotations

from cookline.host.updates import Update, parse_apt, parse_dnf

# After the format that apt-get(8) describes for --simulate; the hosts of the contract print it themselves.
SIMULATED = """NOTE: This is only a simulation!
Inst libssl3 [3.0.11-1~deb12u1] (3.0.15-1~deb12u1 Debian:12.8/stable, Debian-Security:12/stable-security [amd64])
Inst base-files [12.4] (12.4+deb12u8 Debian:12.8/stable [amd64])
Inst linux-image-6.1.0-28-amd64 (6.1.119-1 Debian-Security:12/stable-security [amd64])
Inst curl [7.81.0-1] (7.81.0-1ubuntu1.20 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64]) []
Conf libssl3 (3.0.15-1~deb12u1 Debian:12.8/stable [amd64])
"""
# Written after dnf's manual; no host of the RHEL family runs here.
CHECKED = """
bash.x86_64                  5.1.8-10.el9                baseos
kernel.x86_64                5.14.0-427.13.1.el9_4       baseos
python3-pip.noarch           21.2.3-8.el9                appstream
Obsoleting Packages
old.x86_64                   1-1                         baseos
    new.x86_64               1-2                         @baseos
"""


def test_updates_of_apt() -> None:
    everything = parse_apt(SIMULATED, security=False)
    assert [each.name for each in everything] == ["libssl3", "base-files", "linux-image-6.1.0-28-amd64", "curl"]
    assert str(everything[1]) == "base-files 12.4 -> 12.4+deb12u8"
    assert str(everything[2]) == "linux-image-6.1.0-28-amd64 6.1.119-1"


def test_security_updates_of_apt_are_of_what_is_installed() -> None:
    assert [each.name for each in parse_apt(SIMULATED, security=True)] == ["libssl3", "curl"]


def test_updates_of_dnf_without_what_is_obsolete() -> None:
    assert parse_dnf(CHECKED) == [
        Update("bash", "", "5.1.8-10.el9"),
        Update("kernel", "", "5.14.0-427.13.1.el9_4"),
        Update("python3-pip", "", "21.2.3-8.el9"),
    ]

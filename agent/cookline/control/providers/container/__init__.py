"""Debian hosts with systemd, sshd and apt on this machine: systemd-nspawn on an overlay, each in its own network namespace.

provider.py is the way in. requirements = what the machine must have; image = the root file system that all hosts share;
packages = the apt repository that they install from; project = what is recorded on disk; network, cgroup, machine = the three
things that a host is made of; runtime = what the machine grants them all; faults = how a host is hurt on purpose.
"""

"""Hosts that Vagrant brings up: each instance is a machine of a Vagrantfile, the user's own or one that is written here.

provider.py is the way in. machines = which machine an instance is, and its Vagrantfile; command = Vagrant, run and understood.
"""

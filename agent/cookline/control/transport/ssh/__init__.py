"""Hosts over SSH, by paramiko, which is loaded with the first connection (0.2 s).

A target resolves to a chain of hops (ProxyJump), each with strict host keys, its own timeout and its own keys to try. The last
hop's connection is what commands run on.
"""

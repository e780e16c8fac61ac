"""A host that is not there: recorded facts, and files, packages, users and units in memory."""

"""The tables, as the scripts that make them; `PRAGMA user_version` counts how many of these have run.

A script that was released is never edited: a change is a new script at the end. Times are seconds of the Unix epoch, by the
clock of the controller. Columns that hold JSON say so.
"""

from __future__ import annotations

FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE stacks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created REAL NOT NULL);
CREATE TABLE revisions (
  stack_id TEXT NOT NULL REFERENCES stacks(id), number INTEGER NOT NULL, author TEXT NOT NULL, message TEXT NOT NULL,
  at REAL NOT NULL, hash TEXT NOT NULL, content TEXT NOT NULL /* JSON */,
  PRIMARY KEY (stack_id, number));
CREATE TABLE instances (
  id TEXT PRIMARY KEY, stack_id TEXT NOT NULL REFERENCES stacks(id), name TEXT NOT NULL, state TEXT NOT NULL,
  layers TEXT NOT NULL DEFAULT '[]' /* JSON */, provider TEXT NOT NULL DEFAULT 'static', created REAL NOT NULL, removed REAL,
  online_since REAL, stopped_on_purpose INTEGER NOT NULL DEFAULT 0,
  last_run TEXT, last_event TEXT, last_outcome TEXT, last_reason TEXT, last_changed INTEGER, last_at REAL,
  host TEXT /* JSON: as the provider told */, contact REAL, heartbeat REAL,
  owed TEXT NOT NULL DEFAULT '[]' /* JSON */,
  acknowledged INTEGER NOT NULL DEFAULT 0,
  UNIQUE (stack_id, name));
CREATE TABLE snapshots (
  number INTEGER PRIMARY KEY AUTOINCREMENT, stack_id TEXT NOT NULL, at REAL NOT NULL, content TEXT NOT NULL /* JSON */);
CREATE TABLE commands (
  id TEXT PRIMARY KEY, stack_id TEXT NOT NULL REFERENCES stacks(id), kind TEXT NOT NULL, revision INTEGER NOT NULL,
  options TEXT NOT NULL /* JSON */, user TEXT NOT NULL, created REAL NOT NULL, finished REAL, cancelled REAL,
  outcome TEXT, exit_code INTEGER);
CREATE INDEX commands_open ON commands (stack_id) WHERE finished IS NULL;
CREATE TABLE runs (
  id TEXT PRIMARY KEY, command_id TEXT NOT NULL REFERENCES commands(id), instance_id TEXT NOT NULL REFERENCES instances(id),
  instance TEXT NOT NULL, phase INTEGER NOT NULL, event TEXT NOT NULL, apply INTEGER NOT NULL DEFAULT 1, snapshot INTEGER,
  created REAL NOT NULL, started REAL, finished REAL, outcome TEXT, reason TEXT, error TEXT,
  totals TEXT NOT NULL DEFAULT '{}' /* JSON */, seconds REAL, attempt INTEGER);
CREATE INDEX runs_of_command ON runs (command_id, phase);
CREATE INDEX runs_of_instance ON runs (instance_id, id);
CREATE INDEX runs_open ON runs (instance_id) WHERE finished IS NULL;
CREATE TABLE claims (instance_id TEXT PRIMARY KEY, run_id TEXT NOT NULL, since REAL NOT NULL);
CREATE TABLE findings (
  instance_id TEXT NOT NULL REFERENCES instances(id), resource TEXT NOT NULL, differences TEXT NOT NULL /* JSON */,
  detected_by TEXT NOT NULL, since REAL NOT NULL, seen REAL NOT NULL, cleared REAL, data TEXT NOT NULL DEFAULT '{}' /* JSON */,
  PRIMARY KEY (instance_id, resource));
CREATE TABLE warnings (at REAL NOT NULL, instance_id TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
"""

# Tokens of people and programs that speak to a server over the network, by their hashes; and who did what there.
ACCESS = """
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, hash TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL /* JSON: stack to scope */,
  created REAL NOT NULL, expires REAL, revoked REAL, used REAL);
CREATE TABLE audit (
  at REAL NOT NULL, who TEXT NOT NULL, origin TEXT NOT NULL, what TEXT NOT NULL, stack TEXT, allowed INTEGER NOT NULL,
  exit_code INTEGER);
CREATE INDEX audit_at ON audit (at);
"""

# Batches of a command, what their gates said, and the operator's words to it; which instances balancers leave out meanwhile.
ROLLOUTS = """
CREATE TABLE rollouts (
  command_id TEXT PRIMARY KEY REFERENCES commands(id), paused REAL, aborted REAL, keep INTEGER NOT NULL DEFAULT 0,
  ended TEXT, reason TEXT);
CREATE TABLE batches (
  command_id TEXT NOT NULL REFERENCES commands(id), number INTEGER NOT NULL, started REAL, finished REAL, verdict TEXT,
  reason TEXT, gates TEXT NOT NULL DEFAULT '{}' /* JSON: instance to what its gate said, null when it is good */,
  PRIMARY KEY (command_id, number));
ALTER TABLE runs ADD COLUMN batch INTEGER;
ALTER TABLE runs ADD COLUMN back_to TEXT;
ALTER TABLE instances ADD COLUMN draining TEXT;
ALTER TABLE instances ADD COLUMN facts TEXT NOT NULL DEFAULT '{}' /* JSON: as the last run reported them */
"""

# What the server's tick remembers: by instance, or by "stack id-layer"; `due` is when it may act again. Why an instance is in
# its state, where no run says it.
TIMERS = """
CREATE TABLE timers (
  subject TEXT NOT NULL, kind TEXT NOT NULL, due REAL NOT NULL, data TEXT NOT NULL DEFAULT '{}' /* JSON */,
  PRIMARY KEY (subject, kind));
ALTER TABLE instances ADD COLUMN why TEXT
"""

MIGRATIONS: tuple[str, ...] = (FIRST, ACCESS, ROLLOUTS, TIMERS)

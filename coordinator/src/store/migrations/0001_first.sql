-- The first tables. Moments are milliseconds since 1970.

-- Last known state of each node, so that a restart can show it, as stale.
CREATE TABLE node (
    name TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What changed: states of nodes, findings, leaders, brakes. Pruned by age.
CREATE TABLE change (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    node TEXT NOT NULL,
    spelled TEXT NOT NULL,
    what TEXT NOT NULL,
    from_word TEXT,
    to_word TEXT NOT NULL,
    gating INTEGER NOT NULL,
    sentence TEXT NOT NULL
) STRICT;
CREATE INDEX change_by_node ON change (node, id);
CREATE INDEX change_by_age ON change (at);

-- Findings that a person has seen.
CREATE TABLE acknowledgement (
    finding TEXT PRIMARY KEY,
    by_whom TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Brakes that are on: a restart does not release them.
CREATE TABLE brake (
    class TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What people did. Pruned by age, later than the rest.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    what TEXT NOT NULL,
    about TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_age ON audit (at);

-- Verdicts whenever they became other ones: "why not last night?". Pruned by age, but for the last of each.
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    node TEXT NOT NULL,
    spelled TEXT NOT NULL,
    action TEXT NOT NULL,
    verdict TEXT NOT NULL,
    may_start TEXT NOT NULL,
    codes TEXT NOT NULL,
    sentence TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_by_action ON verdict (node, action, id);
CREATE INDEX verdict_by_age ON verdict (at);

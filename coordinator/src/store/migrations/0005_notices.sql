-- What people have been told and must still be told, so that a restart tells nothing twice and forgets nothing: waiting
-- messages, conditions that are known, the first message of each thread. `value` is JSON.
CREATE TABLE notice (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- What the store itself is: `cluster`, a UUID for ever; `generation`, raised only by a person who put a copy back or moved it.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

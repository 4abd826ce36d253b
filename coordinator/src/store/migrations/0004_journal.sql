-- What operations did, in the order in which it was written; never changed, never pruned. Moments are milliseconds since 1970.
-- `digest`: SHA-256, in hex, over the digest before and everything else of the row, so that a change is noticed.
CREATE TABLE journal (
    position INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    stream TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;

-- Where each stream ends, so that an entry that was lost at the end of one is missed as well.
CREATE TABLE journal_stream (
    stream TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    position INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- Personal tokens: of a secret only its SHA-256. Moments are milliseconds since 1970. Pruned with the audit once they are over.
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    person TEXT NOT NULL,
    label TEXT NOT NULL,
    rights TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT,
    used_at INTEGER,
    used_from TEXT
) STRICT, WITHOUT ROWID;

-- Sessions of browsers: of a cookie only its SHA-256. Pruned once they are over.
CREATE TABLE session (
    digest BLOB PRIMARY KEY,
    token TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

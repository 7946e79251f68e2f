-- A job: what was asked and what became of it. The states are those of
-- mandel/service/jobs/job.py; "running" is never stored, as it dies with the process.
CREATE TABLE jobs (
    id      TEXT    PRIMARY KEY,   -- SHA-256 of canonical payload and engine
    payload TEXT    NOT NULL,      -- canonical JSON
    frames  INTEGER NOT NULL,
    state   TEXT    NOT NULL,
    asked   REAL    NOT NULL,      -- Unix seconds, last time it was queued: the queue's order
    ended   REAL,                  -- Unix seconds
    error   TEXT,                  -- JSON of an error part, for failed jobs
    report  TEXT                   -- JSON: how it was rendered, for done jobs
) WITHOUT ROWID;

CREATE INDEX jobs_by_state ON jobs (state, asked);

-- A file is trusted only if its size and digest are those of its row.
CREATE TABLE files (
    job    TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kind   TEXT    NOT NULL,       -- segment, video or poster
    number INTEGER NOT NULL,       -- of a segment, else 0
    frames INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (job, kind, number)
) WITHOUT ROWID;

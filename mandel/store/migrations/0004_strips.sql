-- Raw strips of a job's exponential map, trusted like files. Those of jobs that keep them stay.
CREATE TABLE strips (
    job    TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,       -- from the outermost inwards; below 0 outside of the job's own frames
    base   INTEGER NOT NULL,       -- level of the samples
    bytes  INTEGER NOT NULL,
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;

-- The job whose strips a recoloured one is made from.
ALTER TABLE jobs ADD COLUMN source TEXT;

-- What people wish of a job, outside of its identity, and when its video was last used.
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;  -- higher ones first
ALTER TABLE jobs ADD COLUMN pinned   INTEGER NOT NULL DEFAULT 0;  -- never evicted
ALTER TABLE jobs ADD COLUMN used     REAL;                        -- Unix seconds

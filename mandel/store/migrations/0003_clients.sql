-- For whom a job is rendered: clients share the workers evenly.
ALTER TABLE jobs ADD COLUMN client TEXT NOT NULL DEFAULT '';

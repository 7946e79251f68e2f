-- What people call a job, and what lists show of its payload: seconds that its film lasts, and its palette.
ALTER TABLE jobs ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN palette TEXT NOT NULL DEFAULT '';

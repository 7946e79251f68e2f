-- What rendering found out that people should know of a segment's frames: JSON (mandel/notes.py).
ALTER TABLE files ADD COLUMN notes TEXT;

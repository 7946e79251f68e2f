-- What a job takes on the disk, and what of it is finished, kept by triggers (they need recursive_triggers for
-- REPLACE): lists and evictions read nothing else. `bytes` counts blocks of 4 KiB, folders too.
ALTER TABLE jobs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN ready INTEGER NOT NULL DEFAULT 0;  -- frames in stored segments

CREATE INDEX jobs_by_asked ON jobs (asked);

CREATE TRIGGER file_added AFTER INSERT ON files BEGIN
    UPDATE jobs SET bytes = bytes + (NEW.bytes + 4095) / 4096 * 4096, ready = ready + NEW.frames * (NEW.kind = 'segment')
    WHERE id = NEW.job;
END;
CREATE TRIGGER file_removed AFTER DELETE ON files BEGIN
    UPDATE jobs SET bytes = bytes - (OLD.bytes + 4095) / 4096 * 4096, ready = ready - OLD.frames * (OLD.kind = 'segment')
    WHERE id = OLD.job;
END;
CREATE TRIGGER strip_added AFTER INSERT ON strips BEGIN
    UPDATE jobs SET bytes = bytes + (NEW.bytes + 4095) / 4096 * 4096 WHERE id = NEW.job;
END;
CREATE TRIGGER strip_removed AFTER DELETE ON strips BEGIN
    UPDATE jobs SET bytes = bytes - (OLD.bytes + 4095) / 4096 * 4096 WHERE id = OLD.job;
END;

-- The column `payload` is empty from now on: payload.json beside the video is the one place (and its digest is part of
-- the job's id). What an index of before holds is moved there when the store is opened. The column stays, as SQLite
-- before 3.35 cannot drop one.

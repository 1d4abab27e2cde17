-- ledger_v2.sql - what the second version adds, for os_report(): how a job went over time, and the settings it ran with.

-- The figures of a job from time to time, each since its beginning. At most 240 rows a job: when they would become more,
-- every second one goes (ext/ledger/samples.c).
CREATE TABLE job_sample (
  job INTEGER NOT NULL,
  tick INTEGER NOT NULL,                 -- quarters of a second, rounded down to the distance kept at that moment
  seconds REAL NOT NULL,                 -- since the beginning, by a clock that never goes backwards
  documents INTEGER NOT NULL,            -- acknowledged
  failed INTEGER NOT NULL,
  bytes_read INTEGER NOT NULL,
  bytes_sent INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  retries INTEGER NOT NULL,
  PRIMARY KEY (job, tick)
) STRICT, WITHOUT ROWID;

-- [{"name":…,"value":…,"source":…}]: what differed from the defaults when the job began; never a secret.
ALTER TABLE job ADD COLUMN settings TEXT;

PRAGMA user_version = 2;

-- ledger_v1.sql - the ledger as its first version makes it: embedded by scripts/embed-sql, run by ext/ledger/ledger.c
-- inside one transaction. A later version is a new file ledger_v2.sql with the statements that lead from here to there;
-- this one never changes again once released.
--
-- Times are ISO-8601 UTC text. Tables are STRICT, so that what is read back has the type that was written.

CREATE TABLE job (
  job INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: it is also the byte of the lock file
  parent INTEGER,
  kind TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'running'
    CHECK (status IN ('running', 'success', 'partial', 'failed', 'interrupted', 'cancelled')),
  control TEXT NOT NULL DEFAULT '' CHECK (control IN ('', 'cancel', 'pause')), -- what another process asks for
  locked INTEGER NOT NULL DEFAULT 0,     -- 1: its process holds the lock byte; 0: the heartbeat alone tells
  started_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,              -- the heartbeat
  finished_at TEXT,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  files INTEGER NOT NULL DEFAULT 0,
  files_done INTEGER NOT NULL DEFAULT 0,
  documents_read INTEGER NOT NULL DEFAULT 0,
  documents_created INTEGER NOT NULL DEFAULT 0,
  documents_updated INTEGER NOT NULL DEFAULT 0,
  documents_noop INTEGER NOT NULL DEFAULT 0,
  documents_already INTEGER NOT NULL DEFAULT 0,
  documents_failed INTEGER NOT NULL DEFAULT 0,
  documents_skipped INTEGER NOT NULL DEFAULT 0,
  bytes_read INTEGER NOT NULL DEFAULT 0,
  bytes_sent INTEGER NOT NULL DEFAULT 0,
  requests INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL DEFAULT 0,
  count_before INTEGER,
  count_after INTEGER,
  dry INTEGER NOT NULL DEFAULT 0,        -- a rehearsal: never counts as loaded
  forgotten INTEGER NOT NULL DEFAULT 0,  -- before a fresh load of the same index: no longer counts as loaded
  index_name TEXT,
  target_name TEXT,                      -- the concrete index a load writes, its UUID, and the path argument:
  target_uuid TEXT,                      -- together they find the loads that a later one goes on with
  path TEXT,
  correlation_id TEXT,
  version TEXT NOT NULL,
  error TEXT,
  arguments TEXT,
  response TEXT
) STRICT;
CREATE INDEX job_running ON job (job) WHERE status = 'running';
CREATE INDEX job_target ON job (target_name, path);
CREATE INDEX job_parent ON job (parent) WHERE parent IS NOT NULL;

CREATE TABLE job_file (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  status TEXT NOT NULL,
  byte_offset INTEGER NOT NULL DEFAULT 0,
  line INTEGER NOT NULL DEFAULT 0,
  documents INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  seconds REAL,
  generation INTEGER NOT NULL DEFAULT 0,
  size INTEGER,
  mtime TEXT,
  fingerprint TEXT,
  format TEXT,
  file TEXT NOT NULL,
  name TEXT NOT NULL,
  error TEXT
) STRICT;
CREATE INDEX job_file_job ON job_file (job);
CREATE INDEX job_file_name ON job_file (name);
CREATE INDEX job_file_fingerprint ON job_file (fingerprint);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  at TEXT NOT NULL,
  step TEXT,
  check_name TEXT,
  verdict TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'unknown', 'skip', 'did')),
  detail TEXT
) STRICT;
CREATE INDEX audit_job ON audit (job);

CREATE TABLE failure (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL,
  index_name TEXT NOT NULL,
  file TEXT,
  line INTEGER,
  byte_offset INTEGER,
  doc_id TEXT,
  op TEXT,
  status INTEGER NOT NULL DEFAULT 0,     -- HTTP status of the item; 0: refused before it was sent
  error_type TEXT,
  error_reason TEXT,
  attempts INTEGER NOT NULL DEFAULT 1,
  failed_at TEXT NOT NULL,
  resolved_at TEXT,
  resolved_by INTEGER,
  superseded INTEGER NOT NULL DEFAULT 0,
  context TEXT,
  document TEXT,
  raw ANY                                -- TEXT, or BLOB when the bytes are not valid UTF-8
) STRICT;
CREATE UNIQUE INDEX failure_place ON failure (index_name, file, byte_offset)
  WHERE file IS NOT NULL AND byte_offset IS NOT NULL;
CREATE INDEX failure_job ON failure (job);

-- Settings of an index that a load changed and owes back, and the jobs that still want them changed.
CREATE TABLE tuning (
  uuid TEXT PRIMARY KEY,
  endpoint TEXT NOT NULL,
  index_name TEXT NOT NULL,
  original TEXT NOT NULL,
  ours TEXT NOT NULL,
  saved_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tuning_holder (
  uuid TEXT NOT NULL,
  job INTEGER NOT NULL,
  PRIMARY KEY (uuid, job)
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 0x4f534c47; -- "OSLG"
PRAGMA user_version = 1;

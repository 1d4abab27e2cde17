-- ledger_v3.sql - what the third version adds: the steps of an operation on the cluster, so that it can go on where it
-- stopped, and be undone.

CREATE TABLE step (
  job INTEGER NOT NULL,
  item TEXT NOT NULL,                    -- what the step is about, an index mostly; '' when there is only one
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('begun', 'done', 'undone')),
  begun_at TEXT NOT NULL,
  ended_at TEXT,
  data TEXT,                             -- JSON: what going on with it, or undoing it, has to know; never a secret
  PRIMARY KEY (job, item, name)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 3;

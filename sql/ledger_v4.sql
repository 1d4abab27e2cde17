-- ledger_v4.sql - what the fourth version adds: which refused records went to the queue for dead letters.

ALTER TABLE failure ADD COLUMN sqs_sent_at TEXT; -- null: not sent, or refused anew since

PRAGMA user_version = 4;

-- resume.sql: load what is not loaded yet, and nothing twice.
--
-- Run from the root of the source tree:
--   OPENSEARCH_ENDPOINT=http://localhost:9200 sqlite3 app.db '.read examples/resume.sql'
-- The ledger beside the database (app.db-ledger) remembers which content is in which index, so the second load has
-- to be made from the same database.
.load build/opensearch

-- One file of the folder first.
SELECT json_extract(os_bulk_load('examples/data/sales/2026-01.csv', 'example-resume', '{"create":true}'), '$.message');
-- → Loaded 4 documents from 1 file into example-resume (…/s)

-- Then the folder. What is done is skipped; a file that a job left half loaded would be gone on with where the
-- cluster's last answer stood.
SELECT file, action, why
FROM os_load_plan('examples/data/sales', 'example-resume', '{"mode":"resume"}');
-- → examples/data/sales/2026-01.csv|skip|loaded by job 1
-- → examples/data/sales/2026-02.csv|load|not loaded yet
-- → examples/data/sales/2026-03.ndjson|load|not loaded yet
SELECT json_extract(os_bulk_load('examples/data/sales', 'example-resume', '{"mode":"resume"}'), '$.message');
-- → Loaded 5 documents from 2 files, 1 skipped into example-resume (…/s)

-- Once more: nothing to do. This is why a nightly job can simply use mode resume.
SELECT json_extract(os_bulk_load('examples/data/sales', 'example-resume', '{"mode":"resume"}'), '$.message');
-- → Loaded 0 documents from 0 files, 3 skipped into example-resume (…/s)
SELECT os_count('example-resume');
-- → 9

SELECT json_extract(os_delete_index('example-resume', 'example-resume'), '$.status');
-- → success

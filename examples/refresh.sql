-- refresh.sql: new data under an alias that answers all the way.
--
--   sqlite3 app.db '.read examples/refresh.sql'
.load build/opensearch
.bail on

-- An index with the data of January, and the alias that searches use.
SELECT json_extract(os_bulk_load('examples/data/sales/2026-01.csv', 'example-night-a', '{"create":true}'), '$.message');
-- → Loaded 4 documents from 1 file into example-night-a (…/s)
SELECT json_extract(os_request('POST', '/_aliases',
  '{"actions":[{"add":{"index":"example-night-a","alias":"example-night"}}]}'), '$.acknowledged');
-- → 1

-- Look first: every check, nothing changed.
SELECT value ->> '$.check', value ->> '$.verdict'
  FROM json_each(os_refresh_data('example-night', 'example-night-a', 'example-night-b', 'examples/data/sales',
    '{"create":true, "max_growth":200, "dry_run":true}'), '$.checks') LIMIT 2;
-- → alias|pass
-- → primary|pass

-- Then do it. More than twice as many documents as before would stop it, unless it is told that they may grow.
SELECT json_extract(os_refresh_data('example-night', 'example-night-a', 'example-night-b', 'examples/data/sales',
  '{"create":true, "max_growth":200, "delay":0}'), '$.message');
-- → Alias example-night serves example-night-a again, with 9 documents loaded anew (… s in all).
SELECT os_count('example-night');
-- → 9

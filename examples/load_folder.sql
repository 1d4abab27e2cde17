-- load_folder.sql: look at a folder, rehearse, load it, and see what was done.
--
-- Run from the root of the source tree:
--   OPENSEARCH_ENDPOINT=http://localhost:9200 sqlite3 app.db '.read examples/load_folder.sql'
-- A line "-- → …" is what the statements above it print.
.load build/opensearch

-- 1. What is in the files, as it would be sent? Nothing is asked of the cluster for this.
SELECT file, line, document FROM os_preview('examples/data/sales/2026-01.csv') LIMIT 1;
-- → examples/data/sales/2026-01.csv|2|{"sold_at":"2026-01-05T10:12:00Z","store":"north","sku":"0071","title":"Lamp, desk","quantity":1,"price":39.90}

-- 2. The index. Its mapping decides how columns are read: sku stays text, 0071 does not become 71.
SELECT json_extract(os_create_index('example-sales', '{
  "settings": {"number_of_shards": 1, "number_of_replicas": 0},
  "mappings": {
    "properties": {
      "sold_at":  {"type": "date"},
      "store":    {"type": "keyword"},
      "sku":      {"type": "keyword"},
      "title":    {"type": "text"},
      "quantity": {"type": "integer"},
      "price":    {"type": "double"}
    }
  }
}'), '$.message');
-- → Created index 'example-sales'.

-- 3. What would a load do with each file, and why?
SELECT file, format, action, why FROM os_load_plan('examples/data/sales', 'example-sales');
-- → examples/data/sales/2026-01.csv|csv|load|loaded from its beginning
-- → examples/data/sales/2026-02.csv|csv|load|loaded from its beginning
-- → examples/data/sales/2026-03.ndjson|ndjson|load|loaded from its beginning

-- 4. A rehearsal: every record is read and parsed, nothing is sent.
SELECT json_extract(os_bulk_load('examples/data/sales', 'example-sales', '{"dry_run":true}'), '$.message');
-- → Nothing was sent: 9 of 9 records in 3 files would go to example-sales, 0 would be refused

-- 5. The load.
SELECT json_extract(os_bulk_load('examples/data/sales', 'example-sales'), '$.message');
-- → Loaded 9 documents from 3 files into example-sales (…/s)
SELECT os_count('example-sales');
-- → 9

-- 6. What became of each file, and what was checked before and after.
SELECT file, status, documents, failed FROM os_job_files WHERE job = (SELECT max(job) FROM os_jobs);
-- → examples/data/sales/2026-01.csv|success|4|0
-- → examples/data/sales/2026-02.csv|success|3|0
-- → examples/data/sales/2026-03.ndjson|success|2|0
SELECT step, check_name, verdict FROM os_audit WHERE job = (SELECT max(job) FROM os_jobs) AND step = 'finish';
-- → finish|figures|pass
-- → finish|count|pass
-- → finish|force_merge|skip

-- 7. A question to the cluster, its answer as rows.
SELECT json_extract(value, '$.key') AS store, json_extract(value, '$.sold.value') AS sold
FROM json_each(os_request('POST', '/example-sales/_search', '{
  "size": 0,
  "aggs": {"stores": {"terms": {"field": "store"}, "aggs": {"sold": {"sum": {"field": "quantity"}}}}}
}'), '$.aggregations.stores.buckets');
-- → north|7.0
-- → south|13.0

SELECT json_extract(os_delete_index('example-sales', 'example-sales'), '$.status');
-- → success

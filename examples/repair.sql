-- repair.sql: refused records are kept; find them, repair them, send them again, dismiss the rest.
--
-- Run from the root of the source tree:
--   OPENSEARCH_ENDPOINT=http://localhost:9200 sqlite3 app.db '.read examples/repair.sql'
-- orders.csv has six records; three are broken on purpose.
.load build/opensearch

SELECT json_extract(os_bulk_load('examples/data/orders.csv', 'example-orders', '{
  "create": {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {"properties": {"quantity": {"type": "integer"}, "ordered_on": {"type": "date"}}}
  }
}'), '$.message');
-- → Loaded 3 documents from 1 file into example-orders (…/s); 3 refused, kept in dlq_failures WHERE job=1

-- What was refused, and by whom? status 0: our parser; anything else: the HTTP status of the item.
SELECT line, status, error_type FROM dlq_failures WHERE resolved_at IS NULL ORDER BY line;
-- → 4|400|mapper_parsing_exception
-- → 5|400|mapper_parsing_exception
-- → 6|0|csv_too_many_cells

-- A document that the cluster refused is repaired as JSON.
UPDATE dlq_failures SET document = json_set(document, '$.quantity', 1) WHERE line = 4;
-- A record that could not be parsed has no document yet: its text is mended and parsed again in the file's dialect.
UPDATE dlq_failures SET raw = '1005,Eva Lind,Rug,3,88.00,2026-03-04' WHERE line = 6;

SELECT json_extract(os_retry_failures(), '$.message');
-- → Sent 3 failed records again: 2 resolved, 0 superseded, 1 refused again.

-- Line 5 is an order of the 30th of February. Nobody knows what was meant: dismiss it.
DELETE FROM dlq_failures WHERE line = 5;

SELECT line, resolved_by, superseded FROM dlq_failures ORDER BY line;
-- → 4|2|0
-- → 6|2|0
SELECT json_extract(os_refresh_index('example-orders'), '$.status'), os_count('example-orders');
-- → success|5

SELECT json_extract(os_delete_index('example-orders', 'example-orders'), '$.status');
-- → success

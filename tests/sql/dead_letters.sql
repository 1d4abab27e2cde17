-- Two refused records: one is mended and sent again, one is dismissed.
SELECT json_extract(os_bulk_load('refused.ndjson', '@INDEX@', '{"mode":"upsert","max_failed":null}'), '$.status');
SELECT line, byte_offset, doc_id, error_type, document, raw FROM dlq_failures ORDER BY line;
UPDATE dlq_failures SET document = json_set(document, '$.stock', 2) WHERE doc_id = '2';
DELETE FROM dlq_failures WHERE line = 3;
SELECT json_extract(os_retry_failures(), '$.status');
SELECT doc_id, resolved_at IS NOT NULL, superseded FROM dlq_failures;
SELECT os_count('@INDEX@');

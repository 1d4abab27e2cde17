-- Looking before loading: the plan, a preview, a rehearsal.
SELECT format, size > 0, length(fingerprint) > 0 FROM os_load_plan('folder', '@INDEX@') ORDER BY file;
SELECT json_extract(document, '$.sku') FROM os_preview('people.csv') LIMIT 3;
SELECT json_extract(os_bulk_load('people.csv', '@INDEX@', '{"dry_run":true}'), '$.status');
SELECT os_count('@INDEX@');
SELECT count(*) > 0 FROM os_permissions('@INDEX@') WHERE verdict = 'pass';

-- A folder of mixed forms, then resume finds nothing to do.
SELECT json_extract(os_bulk_load('folder', '@INDEX@'), '$.status');
SELECT os_count('@INDEX@');
SELECT json_extract(os_bulk_load('folder', '@INDEX@', '{"mode":"resume"}'), '$.status');
SELECT os_count('@INDEX@');
SELECT documents_created, files FROM os_jobs WHERE kind = 'bulk_load' ORDER BY job;

-- The plain way: a CSV file without ids into an empty index, then what the ledger remembers of it.
SELECT json_extract(os_bulk_load('people.csv', '@INDEX@'), '$.status');
SELECT os_count('@INDEX@');
SELECT os_count('@INDEX@', '{"term":{"sku":"SKU-0000003"}}');
SELECT kind, status, index_name, files, files_done, documents_read, documents_created, documents_failed, count_before, count_after
  FROM os_jobs WHERE kind = 'bulk_load';
SELECT file, format, status, documents, failed, byte_offset FROM os_job_files;
SELECT count(*) FROM dlq_failures;

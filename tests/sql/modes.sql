-- auto with ids keeps and updates; append refuses what it has loaded; fresh empties.
SELECT json_extract(os_bulk_load('with_ids.ndjson', '@INDEX@'), '$.status');
SELECT json_extract(os_bulk_load('with_ids.ndjson', '@INDEX@'), '$.status');
SELECT os_count('@INDEX@');
SELECT os_bulk_load('people.csv', '@INDEX@');
SELECT json_extract(os_bulk_load('people.csv', '@INDEX@', '{"mode":"append"}'), '$.status');
SELECT os_bulk_load('people.csv', '@INDEX@', '{"mode":"append"}');
SELECT os_count('@INDEX@');
SELECT json_extract(os_bulk_load('people.csv', '@INDEX@', '{"mode":"fresh"}'), '$.status');
SELECT os_count('@INDEX@');
SELECT json_extract(os_bulk_load('empty.csv', '@INDEX@', '{"mode":"append"}'), '$.status');

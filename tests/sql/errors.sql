-- What is said when something is wrong. Every text names the function, the thing, and what to do.
SELECT os_bulk_load('missing.csv', '@INDEX@');
SELECT os_bulk_load('people.csv', '@INDEX@_none');
SELECT os_bulk_load('people.csv', '@INDEX@', '{"mode":"everything"}');
SELECT os_bulk_load('people.csv', '@INDEX@', '{"batch_size":"x"}');
SELECT os_bulk_load('people.csv');
SELECT os_delete_index('@INDEX@', 'other');
SELECT os_config('NO_SUCH_SETTING');
SELECT os_request('GET', '/@INDEX@_none/_count');
SELECT os_sleep('soon');
SELECT os_cancel(12345);

-- refresh.sql - new data under an alias, with no moment in which it answers with nothing: the four steps of
-- os_refresh_data() as plain statements, for who wants to see or change them. The first error ends it, and the alias
-- stays on the index that is whole.
--
--   sqlite3 app.db -cmd ".load build/opensearch" \
--     -cmd ".parameter set :alias products" -cmd ".parameter set :primary products_a" \
--     -cmd ".parameter set :secondary products_b" -cmd ".parameter set :path 'data/products'" '.read sql/refresh.sql'
.bail on

-- 1. The copy: it serves while the primary is loaded.
SELECT json_extract(os_reindex(:primary, :secondary), '$.message');
SELECT os_sleep(5);

-- 2. The alias moves to it.
SELECT json_extract(os_switch_alias(:alias, :primary, :secondary), '$.message');
SELECT os_sleep(5);

-- 3. The primary is emptied and loaded.
SELECT json_extract(os_bulk_load(:path, :primary, '{"mode":"fresh"}'), '$.message');
SELECT os_sleep(5);

-- 4. The alias moves back.
SELECT json_extract(os_switch_alias(:alias, :secondary, :primary), '$.message');

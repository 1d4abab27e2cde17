-- demo.sql: two real data sets into OpenSearch, then a look at what happened, all in SQL.
--
-- Run by scripts/demo, which fetches the data and sets the parameters:
--   :data      folder with flights.csv and cities500.json
--   :examples  folder with orders.csv (six records, three of them broken on purpose)
-- The cluster is the one that OPENSEARCH_ENDPOINT names (environment or .env).
.bail on
.load build/opensearch
.headers on
.mode list

.print
.print -- 1. The cluster
SELECT json_extract(os_ping(), '$.message') AS cluster;

.print
.print -- 2. A CSV file with a header: 336,776 flights. The file says NA where it knows nothing.
--    'fresh' empties the index first, so that this script can be run again and again.
SELECT json_extract(os_bulk_load(:data || '/flights.csv', 'demo-flights', json('{
  "mode": "fresh",
  "null_values": ["", "NA"],
  "create": {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {
      "dynamic_templates": [{"words": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
      "properties": {
        "time_hour": {"type": "date"},
        "dep_delay": {"type": "integer"}, "arr_delay": {"type": "integer"}, "air_time": {"type": "integer"}
      }
    }
  }
}')), '$.message') AS flights;

.print
.print -- 3. One JSON object of 234,908 objects: each member name becomes a document's _id.
SELECT json_extract(os_bulk_load(:data || '/cities500.json', 'demo-cities', json('{
  "mode": "fresh",
  "id_field": "@key",
  "create": {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {
      "properties": {
        "name": {"type": "text"}, "alternatenames": {"type": "text"},
        "countrycode": {"type": "keyword"}, "timezone": {"type": "keyword"}, "admin1code": {"type": "keyword"},
        "latitude": {"type": "double"}, "longitude": {"type": "double"}, "population": {"type": "long"}
      }
    }
  }
}')), '$.message') AS cities;

.print
.print -- 4. Counts, as the cluster gives them
.mode column
SELECT 'demo-flights' AS index_name, os_count('demo-flights') AS documents
UNION ALL
SELECT 'demo-cities', os_count('demo-cities');
SELECT os_count('demo-flights', '{"range":{"arr_delay":{"gte":120}}}') AS "flights two hours late or more";

.print
.print -- 5. A file with broken records: what can be indexed is, what is refused is kept.
.mode list
SELECT json_extract(os_bulk_load(:examples || '/orders.csv', 'demo-orders', json('{
  "mode": "fresh",
  "create": {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {
      "properties": {
        "customer": {"type": "text"}, "product": {"type": "text"},
        "quantity": {"type": "integer"}, "price": {"type": "double"}, "ordered_on": {"type": "date"}
      }
    }
  }
}')), '$.message') AS orders;
.mode column
SELECT line, doc_id, error_type, substr(error_reason, 1, 75) AS error_reason
FROM dlq_failures
WHERE index_name = 'demo-orders' AND resolved_at IS NULL
ORDER BY line;

.print
.print -- 6. Repair them with UPDATE, and send them again.
UPDATE dlq_failures SET document = json_set(document, '$.quantity', 1)
WHERE index_name = 'demo-orders' AND doc_id = '1003' AND resolved_at IS NULL;
UPDATE dlq_failures SET document = json_set(document, '$.ordered_on', '2026-02-28')
WHERE index_name = 'demo-orders' AND doc_id = '1004' AND resolved_at IS NULL;
-- a record that could not be parsed has no document yet: its text is mended and parsed again
UPDATE dlq_failures SET raw = '1005,Eva Lind,Rug,3,88.00,2026-03-04'
WHERE index_name = 'demo-orders' AND document IS NULL AND resolved_at IS NULL;
.mode list
SELECT json_extract(os_retry_failures(), '$.message') AS retried;
SELECT os_refresh_index('demo-orders') IS NOT NULL AS refreshed, os_count('demo-orders') AS orders;

.print
.print -- 7. A search: large cities that were ever called something like Petersburg
.mode column
SELECT json_extract(value, '$._source.name') AS city, json_extract(value, '$._source.countrycode') AS country,
       json_extract(value, '$._source.population') AS population
FROM json_each(os_request('POST', '/demo-cities/_search', '{
  "size": 5,
  "query": {"bool": {"must": {"multi_match": {"query": "petersburg", "fields": ["name", "alternatenames"]}},
                     "filter": {"range": {"population": {"gte": 10000}}}}},
  "sort": [{"population": "desc"}]
}'), '$.hits.hits');

.print
.print -- 8. Which airlines were late? The cluster counts, SQL joins the answer with what it likes.
SELECT json_extract(value, '$.key') AS carrier, json_extract(value, '$.doc_count') AS flights,
       round(json_extract(value, '$.delay.value'), 1) AS minutes_late
FROM json_each(os_request('POST', '/demo-flights/_search', '{
  "size": 0,
  "aggs": {"carrier": {"terms": {"field": "carrier", "size": 5}, "aggs": {"delay": {"avg": {"field": "arr_delay"}}}}}
}'), '$.aggregations.carrier.buckets');

.print
.print -- 9. The history of all that; it is kept beside the database, for every process that opens it.
SELECT job, kind, index_name, status, documents_read AS read, documents_created AS created, documents_failed AS failed,
       round(seconds, 1) AS seconds, CAST(rate AS INTEGER) AS per_second
FROM os_jobs
ORDER BY job DESC
LIMIT 8;

#!/bin/sh
# signed.sh [INDEX] - load with requests signed for IAM, without AWS: starts a server on this machine that verifies each
# signature as Amazon OpenSearch Service does (scripts/aws-server) before it passes a request on to the cluster that
# OPENSEARCH_ENDPOINT names, shows a wrong secret refused and the right one let in, loads, and stops the server.
set -eu
cd "$(dirname "$0")/../.."
index=${1:-example-signed}
work=$(mktemp -d)
name=example-signed-$$
trap 'scripts/aws-server stop --name "$name" --purge >"$work/stop.log" 2>&1; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM # sh runs the line above only when it ends by itself

scripts/aws-server start sigv4-proxy --name "$name" --upstream "$OPENSEARCH_ENDPOINT" -- --service es >"$work/env"
while IFS= read -r line; do export "${line?}"; done <"$work/env" # OPENSEARCH_ENDPOINT, AWS_ACCESS_KEY_ID, …
export OPENSEARCH_AUTH=iam # a host under es.amazonaws.com needs not be told

echo "with a wrong secret:"
AWS_SECRET_ACCESS_KEY=wrong sqlite3 -batch :memory: ".load ${OS_EXTENSION:-build/opensearch}" 'SELECT os_ping();' 2>&1 | cut -c1-110
sqlite3 -batch -bail "$work/history.db" <<SQL
.load ${OS_EXTENSION:-build/opensearch}
SELECT 'with the right one: ' || json_extract(os_ping(), '\$.response.auth');
SELECT json_extract(os_bulk_load('examples/data/sales', '$index', '{"create":true}'), '$.message');
SELECT os_count('$index');
SELECT json_extract(os_delete_index('$index', '$index'), '$.message');
SQL

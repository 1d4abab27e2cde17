#!/bin/sh
# s3.sh [INDEX] - load from S3 without AWS: starts a server that speaks S3 on this machine (scripts/aws-server), puts the
# example files into a bucket, shows the plan, loads twice, and stops the server. OPENSEARCH_ENDPOINT names the cluster.
set -eu
cd "$(dirname "$0")/../.."
index=${1:-example-s3}
work=$(mktemp -d)
name=example-s3-$$
trap 'scripts/aws-server stop --name "$name" --purge >"$work/stop.log" 2>&1; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM # sh runs the line above only when it ends by itself

scripts/aws-server start s3 --name "$name" >"$work/env"
while IFS= read -r line; do export "${line?}"; done <"$work/env" # AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, …

put() { # path file - what any client of S3 does; curl signs requests as simple as these
  curl --silent --show-error --fail --aws-sigv4 "aws:amz:$AWS_REGION:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" --upload-file "$2" "$AWS_ENDPOINT_URL_S3/$1"
}
put my-data /dev/null
for file in examples/data/sales/*; do put "my-data/exports/$(basename "$file")" "$file"; done

sqlite3 -batch -bail "$work/history.db" <<SQL
.load ${OS_EXTENSION:-build/opensearch}
SELECT file, size, action FROM os_load_plan('s3://my-data/exports/', '$index', '{"create":true}');
SELECT json_extract(os_bulk_load('s3://my-data/exports/', '$index', '{"create":true}'), '$.message');
SELECT json_extract(os_bulk_load('s3://my-data/exports/', '$index', '{"mode":"resume"}'), '$.message');
SELECT os_count('$index');
SELECT json_extract(os_delete_index('$index', '$index'), '$.message');
SQL

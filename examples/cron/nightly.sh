#!/bin/sh
# nightly.sh: load what is new under PATH into INDEX, unattended.
#
#   nightly.sh DATABASE PATH INDEX
#
# The index must exist. Safe to run at any time, also after a crash in the middle: mode resume skips files that are
# loaded and goes on inside one that is not. Exit status 0: everything is in. Otherwise standard error says what is not;
# refused records wait in dlq_failures of DATABASE, and the next run does not send them again by itself.
#
# In a crontab (the settings stand in the .env file of the folder it changes to):
#   15 2 * * *  cd /srv/loader && /opt/sqlite-opensearch/examples/cron/nightly.sh history.db /srv/incoming sales
set -eu
[ $# -eq 3 ] || { echo "usage: nightly.sh DATABASE PATH INDEX" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
extension=${OPENSEARCH_EXTENSION:-$root/build/opensearch}

# A quote inside a name is doubled, so that it stays a name.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"; }

sqlite3 -batch -bail "$1" <<SQL
.load '$extension'
SELECT json_extract(os_bulk_load($(quoted "$2"), $(quoted "$3"),
  '{"mode":"resume","on_changed":"error","on_partial":"error","progress":false}'), '\$.message');
SELECT json_extract(os_ledger_prune(date('now', '-90 days')), '\$.message');
SQL

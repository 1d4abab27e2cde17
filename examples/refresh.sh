#!/bin/sh
# refresh.sh: load PATH anew under ALIAS, unattended, with no moment in which a search finds nothing.
#
#   refresh.sh DATABASE ALIAS PRIMARY SECONDARY PATH
#
# A refresh that an earlier run left half done (a crash, a load with too many refused records) is gone on with. The
# secondary is made when there is none. Exit status 0: the alias serves the new data.
#
# In a crontab, every night, and once more in the morning if it did not end well:
#   15 2 * * *  cd /srv/loader && /opt/sqlite-opensearch/examples/refresh.sh history.db products products_a products_b /srv/export
set -eu
[ $# -eq 5 ] || { echo "usage: refresh.sh DATABASE ALIAS PRIMARY SECONDARY PATH" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
extension=${OPENSEARCH_EXTENSION:-$root/build/opensearch}

# A quote inside a name is doubled, so that it stays a name.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"; }
sqlite3 -batch -bail "$1" <<SQL
.load '$extension'
SELECT json_extract(os_refresh_data($(quoted "$2"), $(quoted "$3"), $(quoted "$4"), $(quoted "$5"),
  '{"resume":"auto", "create":true, "on_partial":"error", "progress":false}'), '\$.message');
SQL

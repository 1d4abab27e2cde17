"""What the tests stand on: nodes, a client for them that is not ours, the sqlite3 shell, checks, small servers."""

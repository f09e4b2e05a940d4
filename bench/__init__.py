"""How fast, beside what: scripts for `bin/bench`."""

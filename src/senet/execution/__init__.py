"""Train many runs: in this process, in several, or on a cluster; read the results that exist."""

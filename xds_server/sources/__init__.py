"""Where objects come from: a cluster, or a folder of files. Each source feeds the same sink."""

"""The filters of connections and requests, one module each."""

//! More than one server: sentinels, a cluster, TLS.

//! After the swap the catalog is that of a native ALTER: two databases, the same table, `pg_dump` of both.

mod clauses;
mod elsewhere;
mod fingerprint;
mod hanging;
mod long_names;
mod matviews;
mod open_sessions;
mod parents;
mod plain;
mod references;
mod refused;
mod storage;
mod twin;

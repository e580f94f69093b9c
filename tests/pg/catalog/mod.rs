//! After the swap the catalog is that of a native ALTER: two databases, the same table, `pg_dump` of both.

mod clauses;
mod fingerprint;
mod hanging;
mod plain;
mod refused;
mod twin;

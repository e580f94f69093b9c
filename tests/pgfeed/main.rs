//! PostgreSQL's feed on real servers.

mod changes;
mod connection;
mod disturb;
mod settled;
mod slot;
mod values;
mod volume;
mod world;

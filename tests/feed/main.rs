//! The feed on real servers.

mod changes;
mod connection;
mod disturb;
mod settled;
mod volume;
mod world;
mod xa;

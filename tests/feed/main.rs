//! The feed on real servers.

mod changes;
mod connection;
mod disturb;
mod proxy;
mod settled;
mod signin;
mod values;
mod volume;
mod world;
mod xa;

//! The feed on real servers.

mod changes;
mod connection;
mod disturb;
#[allow(dead_code)]
#[path = "../support/proxy.rs"]
mod network;
mod proxy;
mod settled;
mod signin;
mod values;
mod volume;
mod world;
mod xa;

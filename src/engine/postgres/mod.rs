//! PostgreSQL 15 and later. Not reachable by users yet: the feed stands, the mirror and the fence don't.

pub mod barrier;
pub mod connect;
pub mod decode;
pub mod feed;
pub mod identity;
pub mod key;
pub mod lsn;
pub mod marks;
pub mod names;
pub mod publication;
pub mod session;
pub mod shadow;
pub mod slot;
pub mod sql;
pub mod stream;
pub mod swap;
pub mod tls;
pub mod watch;
pub mod wire;

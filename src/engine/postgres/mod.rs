//! PostgreSQL 15 and later. Not reachable by users yet: the feed stands, the mirror and the fence don't.

pub mod alter;
pub mod barrier;
pub mod catalog;
<<<<<<< HEAD
=======
pub mod cleanup;
>>>>>>> pg-fence
pub mod compare;
pub mod conflict;
pub mod connect;
pub mod culprit;
pub mod decode;
pub mod dependents;
pub mod feed;
<<<<<<< HEAD
pub mod finished;
=======
pub mod fence;
>>>>>>> pg-fence
pub mod identity;
pub mod key;
pub mod lanes;
pub mod lsn;
pub mod marks;
pub mod mirror;
pub mod names;
<<<<<<< HEAD
pub mod open;
pub mod pair;
=======
pub mod preflight;
>>>>>>> pg-fence
pub mod publication;
pub mod run_lock;
pub mod session;
pub mod shadow;
pub mod slot;
pub mod source;
pub mod sql;
pub mod state;
pub mod stream;
pub mod swap;
pub mod tls;
pub mod watch;
pub mod wire;

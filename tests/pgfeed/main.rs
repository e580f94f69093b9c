//! PostgreSQL's feed on real servers.

// Named, so that the quick tier can leave it out: the engine can't be reached yet.
#[path = "."]
mod pgfeed {
    mod changes;
    mod connection;
    mod disturb;
    #[path = "../support/hostile.rs"]
    mod hostile;
    mod settled;
    mod slot;
    mod values;
    mod volume;
    mod world;
}

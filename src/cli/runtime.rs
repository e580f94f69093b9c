//! The one thread on which the core runs. No work is handed to others, so nothing in it is shared.

use std::future::Future;

use tokio::task::LocalSet;

use crate::error::{Error, Result};

/// Runs the future, and what it spawns locally, to its end.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::definite("The process could not start its event loop.").caused_by(e))?;
    LocalSet::new().block_on(&runtime, work)
}

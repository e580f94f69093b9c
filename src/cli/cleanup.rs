//! `osc cleanup`: removes what dead runs left behind.

use super::ask::confirm;
use super::request::CleanupRequest;
use super::runtime;
use crate::error::{Error, Result};

pub fn run(request: CleanupRequest) -> Result<()> {
    runtime::block_on(cleanup(request))
}

async fn cleanup(request: CleanupRequest) -> Result<()> {
    // WIRE: find what is left of dead runs; say it; end here when `request.dry_run`.
    if request.old && !request.yes && !request.dry_run {
        confirm("Old tables will be dropped, which can't be undone. Go on?")?;
    }
    // WIRE: remove it.
    Err(Error::refused("`osc cleanup` is not wired yet."))
}

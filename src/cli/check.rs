//! `osc check`: the preflight on its own.

use super::request::CheckRequest;
use super::runtime;
use crate::error::{Error, Result};

pub fn run(request: CheckRequest) -> Result<()> {
    runtime::block_on(check(request))
}

async fn check(_request: CheckRequest) -> Result<()> {
    // WIRE: open the engine, run the preflight, show its plan with `plan_view::show(&plan, false, output)`.
    Err(Error::refused("`osc check` is not wired yet."))
}

//! `osc alter`: one run, from the plan to the summary.

use super::ask::confirm;
use super::plan_view;
use super::request::AlterRequest;
use super::runtime;
use crate::error::{Error, Result};
use crate::plan::Plan;

pub fn run(request: AlterRequest) -> Result<()> {
    runtime::block_on(alter(request))
}

async fn alter(_request: AlterRequest) -> Result<()> {
    Err(Error::refused("`osc alter` is not wired yet."))
}

/// Shows the plan, and asks where there is somebody to ask. False: it was a dry run, which ends here.
pub fn approve(plan: &Plan, request: &AlterRequest) -> Result<bool> {
    plan_view::show(plan, request.dry_run, request.output);
    if !request.dry_run && !request.yes {
        confirm("Go on?")?;
    }
    Ok(!request.dry_run)
}

//! `osc alter`: one run, from the plan to the summary.

use super::ask::confirm;
use super::plan_view;
use super::request::AlterRequest;
use super::runtime;
use crate::error::{Error, Result};
use crate::operate::control::{Control, listen};
use crate::operate::progress::Progress;
use crate::operate::stats::Stats;
use crate::operate::summary::{End, Summary};
use crate::operate::throttle::Throttle;
use crate::plan::Plan;

pub fn run(request: AlterRequest) -> Result<()> {
    runtime::block_on(alter(request))
}

async fn alter(request: AlterRequest) -> Result<()> {
    // WIRE 1: connect (request.connection, request.replicas, throttle.gauges()), preflight, plan.
    let mut throttle = Throttle::new(request.throttle.clone());
    let plan: Plan = not_wired()?;
    if !approve(&plan, &request)? {
        return Ok(());
    }
    // Signals are listened for only from here on: at the question, Ctrl-C just ends the process.
    let control = Control::new(request.cutover.postpone_flag_file.clone());
    control.raise_postpone_flag()?;
    let mut stats = Stats::new();
    let progress = Progress::start(stats.watch(), request.output);
    let ended = tokio::select! {
        ended = pipeline(&request, &control, &mut throttle, &mut stats) => ended,
        error = listen(control.clone()) => Err(error),
    };
    // The display ends before anything else is said, whether the run went well or not.
    progress.stop();
    Summary::new(request.table.to_string(), plan.strategy, ended?, &stats).show(request.output);
    Ok(())
}

/// WIRE 2: `pipeline::run`, then what is left to do by its outcome (drop the old table or the shadow).
async fn pipeline(_: &AlterRequest, _: &Control, _: &mut Throttle, _: &mut Stats) -> Result<End> {
    not_wired()
}

fn not_wired<T>() -> Result<T> {
    Err(Error::refused("`osc alter` is not wired yet."))
}

/// Shows the plan, and asks where there is somebody to ask. False: it was a dry run, which ends here.
fn approve(plan: &Plan, request: &AlterRequest) -> Result<bool> {
    plan_view::show(plan, request.dry_run, request.output);
    if !request.dry_run && !request.yes {
        confirm("Go on?")?;
    }
    Ok(!request.dry_run)
}

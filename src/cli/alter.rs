//! `osc alter`: one run, from the plan to the summary.

use std::time::Duration;

use super::ask::confirm;
use super::engine::Engine;
use super::plan_view;
use super::request::AlterRequest;
use super::runtime;
use super::servers::{mysql_address, mysql_parse, mysql_table, postgres_address, postgres_table};
use super::settings::Chunk;
use crate::engine::Patience;
use crate::engine::mysql::open::{Prepared as MySql, Request};
use crate::engine::mysql::source::Watch;
use crate::engine::opening::{Begun, Finish, Look, Prepared, watched};
use crate::engine::postgres::open::{self, Prepared as Postgres};
use crate::engine::postgres::source;
use crate::error::{Error, Kind, Result};
use crate::operate::control::{Control, listen};
use crate::operate::progress::Progress;
use crate::operate::stats::Stats;
use crate::operate::summary::{End, OldTable, Summary};
use crate::operate::throttle::Throttle;
use crate::pipeline::{self, Outcome, Settings};
use crate::plan::Plan;

pub fn run(request: AlterRequest) -> Result<()> {
    runtime::block_on(alter(request)).map_err(broken_off)
}

/// A connection that broke before the run began, or after its end: nothing but the same command is needed.
fn broken_off(error: Error) -> Error {
    if !matches!(error.kind(), Kind::Stopped | Kind::Transient) || error.what_to_do().is_some() {
        return error;
    }
    let todo = "When the server answers, run the same command again: it finds out what was done and goes on.";
    match error.table_state() {
        Some(_) => error.todo(todo),
        None => error.table("No row is lost; nobody waits for this process.").todo(todo),
    }
}

async fn alter(request: AlterRequest) -> Result<()> {
    let throttle = Throttle::new(request.throttle.clone());
    match request.connection.engine {
        Engine::MySql => {
            let look = MySql::look(mysql_request(&request, &throttle).await?).await?;
            run_of(&request, look, throttle).await
        }
        Engine::Postgres => {
            let mut request = request;
            let look = Postgres::look(postgres_request(&mut request, &throttle).await?).await?;
            run_of(&request, look, throttle).await
        }
    }
}

/// The run, whatever the engine.
async fn run_of<P: Prepared>(request: &AlterRequest, look: Look<P>, mut throttle: Throttle) -> Result<()> {
    let prepared = match look {
        Look::Prepared(prepared) => *prepared,
        Look::SwappedBefore(finish) => return swapped_before(request, &*finish).await,
        Look::DoneBefore(finish) => return done_before(request, &*finish).await,
    };
    let mut plan = prepared.plan()?;
    tell_verification(request, &mut plan);
    if !approve(&plan, request)? {
        return Ok(());
    }
    // Signals are listened for only from here on: at the question, Ctrl-C just ends the process.
    let control = Control::new(request.cutover.postpone_flag_file.clone());
    let mut settings = settings(request);
    let mut stats = Stats::new();
    let begun = prepared.begin(&mut settings).await?;
    if let Some(before) = &begun.start.resume {
        stats.resume(before);
    }
    stats.estimated_rows = Some(begun.rows);
    stats.position_at_start = Some(begun.started_at.clone());
    let progress = Progress::start(stats.watch(), request.output);
    let ended = tokio::select! {
        ended = pipeline(request, begun, &settings, &control, &mut throttle, &mut stats) => ended,
        error = listen(control.clone()) => Err(error),
    };
    // The display ends before anything else is said, whether the run went well or not.
    progress.stop();
    let summary = |end| Summary::new(request.table.to_string(), plan.strategy, end, &stats).show(request.output);
    match ended {
        Ok((end, tidied)) => {
            summary(end);
            tidied
        }
        Err(error) => {
            if error.kind() == Kind::Stopped {
                summary(End::Stopped);
            }
            Err(complete(error))
        }
    }
}

/// The sentences that an error from deep below lacks: the state of the table, and what to do.
fn complete(error: Error) -> Error {
    let resumable = matches!(error.kind(), Kind::Stopped | Kind::Transient);
    let todo = match error.kind() {
        _ if resumable => "Run the same command again to go on, or `osc cleanup` to remove what is left.",
        Kind::Ambiguous => "Run the same command again: it finds out and goes on, or says that it's done.",
        _ => "`osc cleanup` removes what the run left; when the cause is gone, the same command may also go on.",
    };
    let error = if error.table_state().is_some() || error.kind() == Kind::Ambiguous {
        error
    } else {
        error.table("The table is unchanged; the shadow table and the run's state are kept.")
    };
    if error.what_to_do().is_some() { error } else { error.todo(todo) }
}

/// Runs the pipeline, then does what is left to do by its outcome. Returns that, and what could not be done of it and
/// the user has to know.
async fn pipeline<P: Prepared>(
    request: &AlterRequest,
    begun: Begun<P>,
    settings: &Settings,
    control: &Control,
    throttle: &mut Throttle,
    stats: &mut Stats,
) -> Result<(End, Result<()>)> {
    let Begun { source, feed, mirror, start, finish, mut lock, .. } = begun;
    let run = pipeline::run(&source, feed, &mirror, start, settings, control, throttle, stats);
    match watched(&mut lock, control, run).await? {
        Outcome::Swapped(swapped) => {
            stats.position_at_swap = Some(swapped.position);
            let drop_old = request.cutover.drop_old;
            let tidied = match finish.swapped(drop_old).await {
                // It says itself what became of the table: something is left to do that matters to the application.
                Err(error) if error.kind().exit() == Kind::Stopped.exit() && error.table_state().is_some() => {
                    Err(error)
                }
                Err(error) => {
                    tracing::warn!(%error, "the tables are swapped, but not everything could be tidied up; `osc cleanup` does it");
                    Ok(())
                }
                Ok(()) => Ok(()),
            };
            let dropped = drop_old && tidied.is_ok();
            Ok((End::Swapped { old: (!dropped).then(|| old_table(&finish)) }, tidied))
        }
        Outcome::Ready => {
            finish.unswapped().await?;
            Ok((End::NotSwapped, Ok(())))
        }
    }
}

/// An earlier life swapped the tables and was cut off before it could say so.
async fn swapped_before(request: &AlterRequest, finish: &impl Finish) -> Result<()> {
    if request.dry_run {
        return Err(Error::refused(
            "An earlier run has swapped the tables already and was cut off before it tidied up.",
        )
        .table("The table has the new definition.")
        .todo("Run the same command without --dry-run to tidy up."));
    }
    finish.swapped(request.cutover.drop_old).await?;
    let mut stats = Stats::new();
    stats.resumed = true;
    let old = (!request.cutover.drop_old).then(|| old_table(finish));
    Summary::new(request.table.to_string(), "shadow", End::Swapped { old }, &stats).show(request.output);
    Ok(())
}

/// An earlier run made this change, and ended. With `--drop-old` what it kept goes now.
async fn done_before(request: &AlterRequest, finish: &impl Finish) -> Result<()> {
    let drop_old = request.cutover.drop_old && !request.dry_run;
    if drop_old {
        finish.drop_old().await?;
    }
    let mut stats = Stats::new();
    stats.resumed = true;
    let old = (!drop_old).then(|| old_table(finish));
    Summary::new(request.table.to_string(), "shadow", End::AlreadyThere { old }, &stats).show(request.output);
    Ok(())
}

fn old_table(finish: &impl Finish) -> OldTable {
    OldTable { name: finish.old_table(), drop: finish.drop_old_statement() }
}

/// What the engine needs to know of a request.
async fn mysql_request(request: &AlterRequest, throttle: &Throttle) -> Result<Request> {
    let mut replicas = Vec::new();
    for replica in &request.replicas {
        replicas.push(mysql_parse(&replica.url, replica)?);
    }
    Ok(Request {
        address: mysql_address(&request.connection).await?,
        table: mysql_table(&request.table),
        alter: request.alter.clone(),
        watch: Watch { replicas, gauges: throttle.gauges() },
    })
}

/// The table's name is completed, for messages.
async fn postgres_request(request: &mut AlterRequest, throttle: &Throttle) -> Result<open::Request> {
    let address = postgres_address(&request.connection)?;
    Ok(open::Request {
        table: postgres_table(&address, &mut request.table).await?,
        address,
        alter: request.alter.clone(),
        watch: source::Watch { gauges: throttle.gauges(), snapshots: request.cutover.wait_snapshots },
    })
}

fn settings(request: &AlterRequest) -> Settings {
    let mut settings = Settings {
        copiers: request.threads,
        retries: request.default_retries,
        verify: request.verify,
        repair: request.repair,
        commit_limit: Some(request.max_commit),
        no_cutover: request.cutover.skip,
        patience: Patience { lock_wait: request.cutover.lock_timeout, hold: Duration::from_secs(2) },
        ..Settings::default()
    };
    match request.chunk {
        Chunk::Rows(rows) => settings.chunk_rows = Some(rows),
        Chunk::Time(time) => settings.chunk_time = time,
    }
    settings
}

/// What the run looks at before it swaps, and what it does not.
fn tell_verification(request: &AlterRequest, plan: &mut Plan) {
    let (fact, warning) = match (request.verify, request.repair) {
        (true, true) => {
            ("every row is compared with the copy before the cutover; one that differs is synced again", None)
        }
        (true, false) => (
            "every row is compared with the copy before the cutover",
            Some(
                "--no-repair: a row of the copy that differs is not synced again; it ends the run before the cutover.",
            ),
        ),
        (false, _) => (
            "none",
            Some(
                "--no-verify: the copy is not compared with the table before the cutover. A row that went wrong, by \
                 a fault of osc, the server or whoever wrote to the copy, would not be noticed.",
            ),
        ),
    };
    plan.facts.push(("verification".into(), fact.into()));
    plan.warnings.extend(warning.map(String::from));
}

/// Shows the plan, and asks where there is somebody to ask. False: it was a dry run, which ends here.
fn approve(plan: &Plan, request: &AlterRequest) -> Result<bool> {
    plan_view::show(plan, request.dry_run, request.output);
    if !request.dry_run && !request.yes {
        confirm("Go on?")?;
    }
    Ok(!request.dry_run)
}

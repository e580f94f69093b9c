//! What a verb is asked to do, checked, with every default filled in, and free of clap and of engines.

use std::path::PathBuf;
use std::time::Duration;

use super::args;
use super::connection::{Connection, Target, replica, warn_of_password};
use super::engine::Engine;
use super::environment::Environment;
use super::origin::Origin;
use super::settings::{Chunk, Settings};
use super::table_name::{self, TableName};
use crate::error::{Error, Result};
use crate::operate::output::Output;
use crate::operate::throttle;

/// The strategies there are. Only one, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    Shadow,
}

/// A run of `osc alter`.
#[derive(Debug, Clone)]
pub struct AlterRequest {
    pub connection: Connection,
    pub table: TableName,
    /// As typed: with or without `ALTER TABLE t` in front.
    pub alter: String,
    pub strategy: Strategy,
    pub dry_run: bool,
    /// Don't ask, even on a terminal.
    pub yes: bool,
    pub threads: u16,
    pub chunk: Chunk,
    pub replicas: Vec<Connection>,
    /// What a commit may take before the copy slows down.
    pub max_commit: Duration,
    pub throttle: throttle::Settings,
    /// Compare both sides before the cutover.
    pub verify: bool,
    /// Sync rows again that differ.
    pub repair: bool,
    pub cutover: CutoverRequest,
    pub default_retries: u32,
    pub output: Output,
}

/// How the run may end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutoverRequest {
    /// Everything but the swap.
    pub skip: bool,
    pub postpone_flag_file: Option<PathBuf>,
    /// How long the application's statements may wait behind the lock request.
    pub lock_timeout: Duration,
    /// How long snapshots older than the copy may be waited for.
    pub wait_snapshots: Duration,
    pub drop_old: bool,
}

/// A preflight on its own.
#[derive(Debug, Clone)]
pub struct CheckRequest {
    pub connection: Connection,
    pub table: TableName,
    pub alter: String,
    pub strategy: Strategy,
    pub output: Output,
}

/// A comparison of two tables.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    pub connection: Connection,
    pub table: TableName,
    pub with: TableName,
    pub alter: Option<String>,
    /// Names in the first table and in the second.
    pub renames: Vec<(String, String)>,
    pub chunk: Chunk,
    pub throttle: throttle::Settings,
    pub output: Output,
}

#[derive(Debug, Clone)]
pub struct CleanupRequest {
    pub connection: Connection,
    /// What the words are about: MySQL's is the table's, when that names one.
    pub database: String,
    /// None: all tables of the database.
    pub table: Option<TableName>,
    /// Old tables that finished runs kept, too.
    pub old: bool,
    pub dry_run: bool,
    pub yes: bool,
    pub output: Output,
}

/// The order is: all words first, then the server's, and the password at last, so that nobody is
/// asked for one only to read that a flag was wrong.
pub fn alter(words: args::Alter, global: &args::Global, env: &Environment, output: Output) -> Result<AlterRequest> {
    let strategy = strategy(&words.change.strategy)?;
    let alter = alteration(&words.change.alter)?;
    let engine = env.engine(global.url.as_deref());
    let names = names(engine, "--table", &words.change.table)?;
    let settings = Settings::resolve(&words.tuning, env.file(engine), engine)?;
    let postpone = postpone(&settings, words.no_cut_over)?;
    if let Some(file) = settings.panic_flag_file.value.as_ref().filter(|file| file.exists()) {
        return Err(Error::refused(format!("The panic flag file {} exists already.", file.display()))
            .todo("Remove it first: a run that finds it gives up."));
    }
    if settings.replicas.value.iter().any(|url| !url.others.is_empty()) {
        return Err(Error::usage("--replica names one server at a time.").todo("Give --replica once for each replica."));
    }
    let target = Target::resolve(global, env)?;
    target.check()?;
    let table = located(names, &target)?;
    if settings.replicas.value.iter().any(|url| url.password.is_some())
        && matches!(settings.replicas.origin, Origin::Flag(_))
    {
        warn_of_password("--replica");
    }
    let (connection, server) = target.fetch()?;
    let replicas = settings.replicas.value.iter().map(|url| replica(url, &server, &connection.password)).collect();
    Ok(AlterRequest {
        connection,
        table,
        alter,
        strategy,
        dry_run: words.dry_run,
        yes: words.yes,
        threads: settings.threads.value,
        chunk: settings.chunk.value,
        replicas,
        max_commit: settings.max_commit.value,
        throttle: settings.throttle(),
        verify: !words.no_verify,
        repair: !words.no_repair,
        cutover: CutoverRequest {
            skip: words.no_cut_over,
            postpone_flag_file: postpone,
            lock_timeout: settings.cut_over_lock_timeout.value,
            wait_snapshots: settings.wait_snapshots.value,
            drop_old: words.drop_old,
        },
        default_retries: settings.default_retries.value,
        output,
    })
}

pub fn check(words: args::Check, global: &args::Global, env: &Environment, output: Output) -> Result<CheckRequest> {
    let strategy = strategy(&words.change.strategy)?;
    let alter = alteration(&words.change.alter)?;
    let names = names(env.engine(global.url.as_deref()), "--table", &words.change.table)?;
    let target = Target::resolve(global, env)?;
    target.check()?;
    let table = located(names, &target)?;
    Ok(CheckRequest { connection: target.fetch()?.0, table, alter, strategy, output })
}

pub fn verify(words: args::Verify, global: &args::Global, env: &Environment, output: Output) -> Result<VerifyRequest> {
    let engine = env.engine(global.url.as_deref());
    let (table, with) = (names(engine, "--table", &words.table)?, names(engine, "--with", &words.with)?);
    let alter = words.alter.as_deref().map(alteration).transpose()?;
    let rename = |text: &String| match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err(Error::usage(format!("--rename must be OLD=NEW, not '{text}'."))),
    };
    let renames = words.rename.iter().map(rename).collect::<Result<Vec<_>>>()?;
    let (chunk_size, chunk_time_ms) = (words.chunk_size, words.chunk_time_ms);
    let throttle_flag_file = words.throttle_flag_file;
    let tuning = args::Tuning { chunk_size, chunk_time_ms, throttle_flag_file, ..args::Tuning::default() };
    let settings = Settings::resolve(&tuning, env.file(engine), engine)?;
    let target = Target::resolve(global, env)?;
    target.check()?;
    let (table, with) = (located(table, &target)?, located(with, &target)?);
    // Load and lag are not watched here, only the flag file.
    let file = settings.throttle().throttle_flag_file;
    let throttle = throttle::Settings { throttle_flag_file: file, ..throttle::Settings::default() };
    let connection = target.fetch()?.0;
    Ok(VerifyRequest { connection, table, with, alter, renames, chunk: settings.chunk.value, throttle, output })
}

pub fn cleanup(
    words: args::Cleanup,
    global: &args::Global,
    env: &Environment,
    output: Output,
) -> Result<CleanupRequest> {
    let engine = env.engine(global.url.as_deref());
    let names = words.table.as_deref().map(|text| names(engine, "--table", text)).transpose()?;
    let target = Target::resolve(global, env)?;
    target.check()?;
    let table = names.map(|names| located(names, &target)).transpose()?;
    let of_table = table.as_ref().and_then(|table| table.space.clone()).filter(|_| engine == Engine::MySql);
    let database = match of_table {
        Some(database) => database,
        None => database_of(&target)?,
    };
    let (old, dry_run, yes) = (words.old, words.dry_run, words.yes);
    Ok(CleanupRequest { connection: target.fetch()?.0, database, table, old, dry_run, yes, output })
}

fn strategy(text: &str) -> Result<Strategy> {
    match text {
        "shadow" => Ok(Strategy::Shadow),
        "auto" | "instant" | "online" => Err(Error::refused(format!("--strategy {text} is not built yet."))
            .todo("Use --strategy shadow, which is also the default.")),
        _ => Err(Error::usage(format!("--strategy must be shadow, not '{text}'."))),
    }
}

fn alteration(text: &str) -> Result<String> {
    let text = text.trim().trim_end_matches(';').trim_end();
    if text.is_empty() || text.contains('\0') {
        return Err(Error::usage(
            "--alter must be what stands after ALTER TABLE t, such as \"ADD COLUMN note VARCHAR(80)\".",
        ));
    }
    Ok(text.to_owned())
}

fn names(engine: Engine, flag: &str, text: &str) -> Result<(Option<String>, String)> {
    table_name::parse(engine, text).map_err(|must| Error::usage(format!("{flag} {must}, not '{text}'.")))
}

/// MySQL's table is in the server's database unless it says otherwise; PostgreSQL's schema is the server's to find.
fn located((space, table): (Option<String>, String), target: &Target) -> Result<TableName> {
    let space = match (space, target.server.engine) {
        (None, Engine::MySql) => Some(database_of(target)?),
        (space, _) => space,
    };
    Ok(TableName { space, table })
}

fn database_of(target: &Target) -> Result<String> {
    target.server.database.clone().ok_or_else(|| {
        Error::usage("No database is named.")
            .todo("Name it with --table DATABASE.TABLE, or at the end of the server's URL.")
    })
}

/// The flag excludes `--no-cut-over`; a line in a file that many runs share does not.
fn postpone(settings: &Settings, no_cut_over: bool) -> Result<Option<PathBuf>> {
    let setting = &settings.postpone_flag_file;
    match setting.origin {
        Origin::Flag(_) if no_cut_over => Err(Error::usage(
            "--no-cut-over and --postpone-cut-over-flag-file exclude each other: the one never cuts over, the other does later.",
        )),
        _ if no_cut_over => Ok(None),
        _ => Ok(setting.value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use clap::Parser;

    const URL: (&str, &str) = (super::super::environment::DATABASE_URL, "mysql://app@db/shop");

    fn asked(words: &[&str]) -> Result<AlterRequest> {
        asked_with(words, "")
    }

    fn asked_with(words: &[&str], file: &str) -> Result<AlterRequest> {
        let all = ["osc", "alter", "--alter", "ADD c INT"].iter().chain(words);
        let args::Words { global, verb } = args::Words::try_parse_from(all).ok().unwrap();
        let args::Verb::Alter(words) = verb else { unreachable!() };
        alter(words, &global, &Environment::of(&[URL], file), Output::default())
    }

    #[test]
    fn a_request_is_complete() {
        let r = asked(&["--table", "orders", "--threads", "3", "--replica", "mysql://r1", "--drop-old"]).unwrap();
        assert_eq!(r.connection.url, "mysql://app@db/shop");
        assert_eq!(r.table.to_string(), "shop.orders");
        assert_eq!((r.alter.as_str(), r.threads, r.cutover.drop_old), ("ADD c INT", 3, true));
        assert_eq!(r.replicas[0].url, "mysql://app@r1/");
        assert!(r.throttle.max_lag.is_some());
        assert_eq!(asked(&["--table", "`x`.`y.z`"]).unwrap().table.table, "y.z");
    }

    #[test]
    fn what_excludes_what() {
        assert!(asked(&["--table", "t", "--no-cut-over", "--postpone-cut-over-flag-file", "/tmp/f"]).is_err());
        let filed =
            asked_with(&["--table", "t", "--no-cut-over"], "[osc]\npostpone-cut-over-flag-file=/tmp/f\n").unwrap();
        assert_eq!(filed.cutover.postpone_flag_file, None);
    }

    #[test]
    fn reserved_strategies_are_refused_and_unknown_ones_are_wrong() {
        let kind = |s| asked(&["--table", "t", "--strategy", s]).unwrap_err().kind();
        assert_eq!((kind("instant"), kind("quick")), (Kind::Refused, Kind::Usage));
    }

    #[test]
    fn the_alteration_is_not_empty() {
        for bad in ["", " ", ";", " ; ", "a\0b"] {
            assert!(alteration(bad).is_err());
        }
        assert_eq!(alteration(" ADD c INT; ").unwrap(), "ADD c INT");
    }
}

//! The words of the command line, as clap reads them.
//!
//! Values stay text here: `settings` and `request` check them, because the same values may stand in
//! an option file, and because clap would repeat a wrong value in its message, password and all.
//! Nothing here has a `Debug`: a URL that was not read yet may show its password.
//! A flag that means what gh-ost's means has gh-ost's name.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const AFTER: &str = "\
Exit codes: 0 done; 1 failed, the table is as it was; 2 usage; 3 refused; 4 different; 5 stopped, can go on; \
6 aborted; 7 the outcome isn't known.";

/// Changes the schema of a busy MySQL, MariaDB or PostgreSQL table without stopping the application.
#[derive(Parser)]
#[command(name = "osc", version, after_help = AFTER, subcommand_required = true, arg_required_else_help = true)]
pub struct Words {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The server: mysql://USER@HOST:PORT/DATABASE?ssl-mode=…, or HOST1:PORT,HOST2:PORT,…, or postgres://USER@HOST:PORT/DATABASE?sslmode=… (else DATABASE_URL, else [client] and [osc] of ~/.my.cnf)
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Read the password from this file (else OSC_PASSWORD, else MYSQL_PWD or PGPASSWORD, else ~/.my.cnf or ~/.pgpass)
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Ask for the password on the terminal
    #[arg(long, global = true, conflicts_with = "password_file")]
    pub ask_pass: bool,
    /// Write JSON lines: events on standard output, log and errors on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more; twice: every statement (OSC_LOG sets a filter)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Plain lines in place of a progress bar
    #[arg(long, global = true)]
    pub no_progress: bool,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Change a table; or go on with the same change that was interrupted
    Alter(Alter),
    /// Look whether a change could run, and touch nothing
    Check(Check),
    /// Compare two tables, row by row and byte by byte: a copy that some tool has made, with its original
    Verify(Verify),
    /// Remove what dead runs left behind; never a live run's, never an old table unless told to
    Cleanup(Cleanup),
    /// Look at the settings
    #[command(subcommand)]
    Config(Config),
    /// Write the completions for a shell to standard output
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Tell how runs stand (not built yet)
    Status(Anything),
    /// Hold a run (not built yet)
    Pause(Anything),
    /// Let a held run go on (not built yet)
    Resume(Anything),
    /// Change a setting of a live run (not built yet)
    Set(Anything),
    /// Let a waiting run cut over (not built yet)
    Cutover(Anything),
    /// Give a run up (not built yet)
    Abort(Anything),
    /// Copy a table to another server (not built yet)
    Move(Anything),
    /// Go back to the old table after a cutover (not built yet)
    Revert(Anything),
    /// Run many changes (not built yet)
    Migrate(Anything),
    /// Fill a column in chunks (not built yet)
    Backfill(Anything),
    /// Delete rows in chunks (not built yet)
    Purge(Anything),
    /// Compare two schemas (not built yet)
    Diff(Anything),
    /// Judge a change without a server (not built yet)
    Lint(Anything),
    /// Try a change on a copy (not built yet)
    Rehearse(Anything),
}

#[derive(Args)]
pub struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<OsString>,
}

#[derive(Subcommand)]
pub enum Config {
    /// The settings as they are in effect, and where each came from; no secrets
    Show(Tuning),
}

/// Which change.
#[derive(Args)]
#[command(next_help_heading = "The change")]
pub struct Change {
    /// TABLE or DATABASE.TABLE, odd names in backticks; for PostgreSQL TABLE or SCHEMA.TABLE, odd names in double quotes
    #[arg(long)]
    pub table: String,
    /// What stands after ALTER TABLE t, such as "ADD COLUMN note VARCHAR(80)"
    #[arg(long)]
    pub alter: String,
    /// How: shadow, a copy of the table that is kept up to date and swapped in
    #[arg(long, default_value = "shadow")]
    pub strategy: String,
}

#[derive(Args)]
pub struct Alter {
    #[command(flatten)]
    pub change: Change,
    /// Show the plan and every statement; change nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Don't ask for confirmation; without a terminal nothing is asked anyway
    #[arg(long, visible_alias = "execute")]
    pub yes: bool,
    /// Do everything but the swap, then remove the copy: a harmless first run
    #[arg(long, conflicts_with = "drop_old")]
    pub no_cut_over: bool,
    /// Don't compare the copy with the table before the cutover: a row that went wrong would not be noticed
    #[arg(long)]
    pub no_verify: bool,
    /// Compare, but don't sync rows again that differ: one such row ends the run before the cutover, with exit code 4
    #[arg(long, conflicts_with = "no_verify")]
    pub no_repair: bool,
    /// Drop the old table at the end; else it stays under a new name, and the summary says how to drop it
    #[arg(long)]
    pub drop_old: bool,
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Values that may also stand in [osc] of ~/.my.cnf, under the same names.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Pace and limits")]
pub struct Tuning {
    /// Sessions that copy rows, 1 to 64 [default: the number of cores, 2 to 4]
    #[arg(long, value_name = "N")]
    pub threads: Option<String>,
    /// Rows of a chunk, fixed; else chunks are sized by time
    #[arg(long, value_name = "ROWS")]
    pub chunk_size: Option<String>,
    /// How long a chunk should take [default: 500]
    #[arg(long, value_name = "MS")]
    pub chunk_time_ms: Option<String>,
    /// A replica whose lag is watched (repeatable; MySQL and MariaDB); its user is the main server's unless it names one
    #[arg(long, value_name = "URL")]
    pub replica: Vec<String>,
    /// Hold while a replica lags more than this [default: 1500]
    #[arg(long, value_name = "MS")]
    pub max_lag_millis: Option<String>,
    /// Slow the copy down while a commit takes longer than this [default: 100]
    #[arg(long, value_name = "MS")]
    pub max_commit_millis: Option<String>,
    /// Hold while a status variable is at its limit or above, such as Threads_running=25,Threads_connected=500
    #[arg(long, value_name = "NAME=N,…")]
    pub max_load: Option<String>,
    /// Give up when a status variable is at its limit or above twice in a row
    #[arg(long, value_name = "NAME=N,…")]
    pub critical_load: Option<String>,
    /// Hold while this file exists
    #[arg(long, value_name = "FILE")]
    pub throttle_flag_file: Option<String>,
    /// Stay caught up but do not cut over while this file exists
    #[arg(long, value_name = "FILE")]
    pub postpone_cut_over_flag_file: Option<String>,
    /// Give up when this file exists
    #[arg(long, value_name = "FILE")]
    pub panic_flag_file: Option<String>,
    /// How long the application's statements may wait behind osc's lock request at the cutover [default: 200]
    #[arg(long, value_name = "MS")]
    pub cut_over_lock_timeout_ms: Option<String>,
    /// PostgreSQL: how long the cutover may wait for transactions whose snapshot is older than the copy [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub wait_snapshots: Option<String>,
    /// How often an operation is tried again after an error that may pass [default: 60]
    #[arg(long, value_name = "N")]
    pub default_retries: Option<String>,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub change: Change,
}

#[derive(Args)]
pub struct Verify {
    /// TABLE or DATABASE.TABLE, odd names in backticks; for PostgreSQL TABLE or SCHEMA.TABLE, odd names in double quotes
    #[arg(long)]
    pub table: String,
    /// The table to compare it with, on the same server
    #[arg(long, value_name = "TABLE")]
    pub with: String,
    /// The ALTER that leads from the one to the other; else columns are found by their names
    #[arg(long, conflicts_with = "rename")]
    pub alter: Option<String>,
    /// A column that has another name in the second table (repeatable)
    #[arg(long, value_name = "OLD=NEW")]
    pub rename: Vec<String>,
    /// Rows that one statement compares, fixed; else sized by time
    #[arg(long, value_name = "ROWS")]
    pub chunk_size: Option<String>,
    /// How long such a statement should take [default: 500]
    #[arg(long, value_name = "MS")]
    pub chunk_time_ms: Option<String>,
    /// Hold while this file exists
    #[arg(long, value_name = "FILE")]
    pub throttle_flag_file: Option<String>,
}

#[derive(Args)]
pub struct Cleanup {
    /// Only what belongs to this table [default: all of the database]
    #[arg(long)]
    pub table: Option<String>,
    /// Old tables too, that finished runs kept: this can't be undone
    #[arg(long)]
    pub old: bool,
    /// Say what would be removed; remove nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Don't ask for confirmation
    #[arg(long)]
    pub yes: bool,
}

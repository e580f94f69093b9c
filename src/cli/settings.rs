//! Pace and limits: from the flag, else from `[osc]` of the option file, else the default; checked
//! before anything connects.

use std::path::PathBuf;
use std::time::Duration;

use super::args::Tuning;
use super::engine::{self, Engine};
use super::option_file::{Group, OptionFile};
use super::origin::{Origin, Row, Setting};
use super::server_url::ServerUrl;
use super::value;
use crate::error::{Error, Result};
use crate::operate::throttle::{self, Limit};

/// How chunks are sized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    Rows(u64),
    Time(Duration),
}

/// The names that `[osc]` may set besides those of a connection.
const NAMES: [&str; 13] = [
    "threads",
    "chunk-size",
    "chunk-time-ms",
    "replica",
    "max-lag-millis",
    "max-commit-millis",
    "max-load",
    "critical-load",
    "throttle-flag-file",
    "postpone-cut-over-flag-file",
    "panic-flag-file",
    "cut-over-lock-timeout-ms",
    "default-retries",
];
const CONNECTION_NAMES: [&str; 7] = ["host", "port", "user", "password", "database", "ssl", "ssl-verify-server-cert"];

#[derive(Debug, Clone)]
pub struct Settings {
    engine: Engine,
    pub threads: Setting<u16>,
    pub chunk: Setting<Chunk>,
    pub replicas: Setting<Vec<ServerUrl>>,
    pub max_lag: Setting<Duration>,
    pub max_commit: Setting<Duration>,
    pub max_load: Setting<Vec<Limit>>,
    pub critical_load: Setting<Vec<Limit>>,
    pub throttle_flag_file: Setting<Option<PathBuf>>,
    pub postpone_flag_file: Setting<Option<PathBuf>>,
    pub panic_flag_file: Setting<Option<PathBuf>>,
    pub cut_over_lock_timeout: Setting<Duration>,
    /// How long the cutover may wait for snapshots that are older than the copy. PostgreSQL only.
    pub wait_snapshots: Setting<Duration>,
    pub default_retries: Setting<u32>,
}

impl Settings {
    pub fn resolve(tuning: &Tuning, file: &OptionFile, engine: Engine) -> Result<Settings> {
        let params = Engine::MySql.params();
        let known = |name: &str| NAMES.contains(&name) || CONNECTION_NAMES.contains(&name) || params.contains(&name);
        file.check_names(known)?;
        let take = Take { tuning, file };
        if engine == Engine::Postgres && !tuning.replica.is_empty() {
            return Err(engine::refuse_replica());
        }
        let settings = Settings {
            engine,
            threads: take.number("threads", 1, 64, default_threads())?,
            chunk: take.chunk()?,
            replicas: take.replicas()?,
            max_lag: take.millis("max-lag-millis", 100, 3_600_000, 1500)?,
            max_commit: take.millis("max-commit-millis", 5, 3_600_000, 100)?,
            max_load: take.or_default("max-load", value::limits)?,
            critical_load: take.or_default("critical-load", value::limits)?,
            throttle_flag_file: take.or_default("throttle-flag-file", |t| value::flag_file(t).map(Some))?,
            postpone_flag_file: take.or_default("postpone-cut-over-flag-file", |t| value::flag_file(t).map(Some))?,
            panic_flag_file: take.or_default("panic-flag-file", |t| value::flag_file(t).map(Some))?,
            cut_over_lock_timeout: take.millis("cut-over-lock-timeout-ms", 10, 60_000, 200)?,
            wait_snapshots: take.seconds("wait-snapshots", 0, 604_800, 3600)?,
            default_retries: take.number("default-retries", 1, 100_000, 60)?,
        };
        settings.check()?;
        Ok(settings)
    }

    /// What values must be together.
    fn check(&self) -> Result<()> {
        let watches = self.engine == Engine::Postgres || !self.replicas.value.is_empty();
        if matches!(self.wait_snapshots.origin, Origin::Flag(_)) && self.engine != Engine::Postgres {
            return Err(Error::usage("--wait-snapshots is for PostgreSQL: here a snapshot doesn't outlast the swap."));
        }
        if matches!(self.max_lag.origin, Origin::Flag(_)) && !watches {
            return Err(Error::usage("--max-lag-millis needs a replica to watch.").todo("Name one with --replica URL."));
        }
        for critical in &self.critical_load.value {
            let lower = |max: &&Limit| max.name.eq_ignore_ascii_case(&critical.name) && max.at >= critical.at;
            if let Some(max) = self.max_load.value.iter().find(lower) {
                return Err(Error::usage(format!(
                    "--critical-load {critical} must be above --max-load {max}: else the run is given up where it should hold."
                )));
            }
        }
        let files = [
            ("--throttle-flag-file", &self.throttle_flag_file.value),
            ("--postpone-cut-over-flag-file", &self.postpone_flag_file.value),
            ("--panic-flag-file", &self.panic_flag_file.value),
        ];
        for (at, (flag, file)) in files.iter().enumerate() {
            let same = |other: &&(&str, &Option<PathBuf>)| file.is_some() && other.1 == *file;
            if let Some((other, _)) = files[..at].iter().find(same) {
                return Err(Error::usage(format!("{other} and {flag} must name different files.")));
            }
        }
        Ok(())
    }

    /// What the throttle goes by. Lag only counts where a replica is watched; PostgreSQL's primary tells of its own.
    pub fn throttle(&self) -> throttle::Settings {
        throttle::Settings {
            throttle_flag_file: self.throttle_flag_file.value.clone(),
            panic_flag_file: self.panic_flag_file.value.clone(),
            max_load: self.max_load.value.clone(),
            critical_load: self.critical_load.value.clone(),
            max_lag: Some(self.max_lag.value)
                .filter(|_| self.engine == Engine::Postgres || !self.replicas.value.is_empty()),
        }
    }

    /// For `osc config show`.
    pub fn rows(&self) -> Vec<Row> {
        let path = |p: &Setting<Option<PathBuf>>| p.value.as_ref().map(|p| p.display().to_string());
        let list = |items: Vec<String>| Some(items.join(",")).filter(|text| !text.is_empty());
        let limits = |l: &Setting<Vec<Limit>>| list(l.value.iter().map(ToString::to_string).collect());
        let millis = |d: Duration| Some(d.as_millis().to_string());
        let (rows, time) = match self.chunk.value {
            Chunk::Rows(rows) => (Some(rows.to_string()), None),
            Chunk::Time(time) => (None, millis(time)),
        };
        let chunk_origin = |is_set: bool| if is_set { self.chunk.origin } else { Origin::Default };
        vec![
            Row::new("threads", Some(self.threads.value.to_string()), self.threads.origin),
            Row::new("chunk-size", rows.clone(), chunk_origin(rows.is_some())),
            Row::new("chunk-time-ms", time.clone(), chunk_origin(time.is_some())),
            Row::new(
                "replica",
                list(self.replicas.value.iter().map(ServerUrl::without_password).collect()),
                self.replicas.origin,
            ),
            Row::new("max-lag-millis", millis(self.max_lag.value), self.max_lag.origin),
            Row::new("max-commit-millis", millis(self.max_commit.value), self.max_commit.origin),
            Row::new("max-load", limits(&self.max_load), self.max_load.origin),
            Row::new("critical-load", limits(&self.critical_load), self.critical_load.origin),
            Row::new("throttle-flag-file", path(&self.throttle_flag_file), self.throttle_flag_file.origin),
            Row::new("postpone-cut-over-flag-file", path(&self.postpone_flag_file), self.postpone_flag_file.origin),
            Row::new("panic-flag-file", path(&self.panic_flag_file), self.panic_flag_file.origin),
            Row::new(
                "cut-over-lock-timeout-ms",
                millis(self.cut_over_lock_timeout.value),
                self.cut_over_lock_timeout.origin,
            ),
            Row::new(
                "wait-snapshots",
                Some(self.wait_snapshots.value.as_secs().to_string()).filter(|_| self.engine == Engine::Postgres),
                self.wait_snapshots.origin,
            ),
            Row::new("default-retries", Some(self.default_retries.value.to_string()), self.default_retries.origin),
        ]
    }
}

/// The rows never pass through osc, so its own cores bound little; they stand for the server's, which
/// it can't see. One session leaves a server idle between two chunks, and more than four took nothing off.
fn default_threads() -> u16 {
    let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
    u16::try_from(cores.clamp(2, 4)).unwrap_or(2)
}

struct Take<'a> {
    tuning: &'a Tuning,
    file: &'a OptionFile,
}

impl Take<'_> {
    fn flag(&self, name: &str) -> Option<&str> {
        let t = self.tuning;
        let flag = match name {
            "threads" => &t.threads,
            "chunk-size" => &t.chunk_size,
            "chunk-time-ms" => &t.chunk_time_ms,
            "max-lag-millis" => &t.max_lag_millis,
            "max-commit-millis" => &t.max_commit_millis,
            "max-load" => &t.max_load,
            "critical-load" => &t.critical_load,
            "throttle-flag-file" => &t.throttle_flag_file,
            "postpone-cut-over-flag-file" => &t.postpone_cut_over_flag_file,
            "panic-flag-file" => &t.panic_flag_file,
            "cut-over-lock-timeout-ms" => &t.cut_over_lock_timeout_ms,
            "wait-snapshots" => &t.wait_snapshots,
            "default-retries" => &t.default_retries,
            _ => &None,
        };
        flag.as_deref()
    }

    fn parsed<T>(&self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<Setting<T>>> {
        let (text, origin) = match (self.flag(name), self.file.own(name)) {
            (Some(text), _) => (text, Origin::Flag(name)),
            (None, Some(text)) => (text, Origin::File(Group::Osc)),
            (None, None) => return Ok(None),
        };
        match parse(text) {
            Ok(value) => Ok(Some(Setting { value, origin })),
            Err(must) => {
                let subject =
                    if let Origin::Flag(_) = origin { origin.to_string() } else { format!("{name} in {origin}") };
                Err(Error::usage(format!("{subject} {must}, not '{text}'.")))
            }
        }
    }

    fn or_default<T: Default>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Setting<T>> {
        let default = || Setting { value: T::default(), origin: Origin::Default };
        Ok(self.parsed(name, parse)?.unwrap_or_else(default))
    }

    fn number<T: TryFrom<u64>>(&self, name: &'static str, least: u64, most: u64, default: T) -> Result<Setting<T>> {
        let parse = |text: &str| {
            let number = value::whole(text, least, most)?;
            T::try_from(number).map_err(|_| format!("must be a whole number from {least} to {most}"))
        };
        Ok(self.parsed(name, parse)?.unwrap_or(Setting { value: default, origin: Origin::Default }))
    }

    fn millis(&self, name: &'static str, least: u64, most: u64, default: u64) -> Result<Setting<Duration>> {
        let parse = |text: &str| value::whole(text, least, most).map(Duration::from_millis);
        let default = Setting { value: Duration::from_millis(default), origin: Origin::Default };
        Ok(self.parsed(name, parse)?.unwrap_or(default))
    }

    fn seconds(&self, name: &'static str, least: u64, most: u64, default: u64) -> Result<Setting<Duration>> {
        let parse = |text: &str| value::whole(text, least, most).map(Duration::from_secs);
        let default = Setting { value: Duration::from_secs(default), origin: Origin::Default };
        Ok(self.parsed(name, parse)?.unwrap_or(default))
    }

    /// The two sizes exclude each other, but a flag is a reason to forget what the file says.
    fn chunk(&self) -> Result<Setting<Chunk>> {
        let rows = self.parsed("chunk-size", |text| value::whole(text, 1, 1_000_000).map(Chunk::Rows))?;
        let millis = |text: &str| value::whole(text, 10, 60_000).map(|ms| Chunk::Time(Duration::from_millis(ms)));
        let time = self.parsed("chunk-time-ms", millis)?;
        let is_flag = |setting: &Setting<Chunk>| matches!(setting.origin, Origin::Flag(_));
        match (rows, time) {
            (Some(rows), Some(time)) if is_flag(&rows) == is_flag(&time) => Err(Error::usage(
                "chunk-size and chunk-time-ms exclude each other: chunks are either of a fixed size or sized by time.",
            )),
            (Some(rows), Some(time)) => Ok(if is_flag(&rows) { rows } else { time }),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Ok(Setting { value: Chunk::Time(Duration::from_millis(500)), origin: Origin::Default }),
        }
    }

    fn replicas(&self) -> Result<Setting<Vec<ServerUrl>>> {
        let read = |texts: Vec<&str>, given_as: &str| -> Result<Vec<ServerUrl>> {
            texts
                .into_iter()
                .map(|text| {
                    let server = ServerUrl::parse(text, given_as)?;
                    if server.engine != Engine::MySql {
                        return Err(Error::usage(format!("{given_as} must be of the same kind as the server.")));
                    }
                    let somewhere = server.host.is_some() || server.params.contains_key("socket");
                    if somewhere { Ok(server) } else { Err(Error::usage(format!("{given_as} names no host."))) }
                })
                .collect()
        };
        if !self.tuning.replica.is_empty() {
            let value = read(self.tuning.replica.iter().map(String::as_str).collect(), "--replica")?;
            return Ok(Setting { value, origin: Origin::Flag("replica") });
        }
        let own: Vec<_> =
            self.file.all("replica").into_iter().filter(|(_, g)| *g == Group::Osc).map(|(v, _)| v).collect();
        let origin = if own.is_empty() { Origin::Default } else { Origin::File(Group::Osc) };
        Ok(Setting { value: read(own, "replica in ~/.my.cnf")?, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(tuning: Tuning, file: &str) -> Result<Settings> {
        Settings::resolve(&tuning, &OptionFile::parse(file).ok().unwrap(), Engine::MySql)
    }

    fn text(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let s = resolve(Tuning::default(), "").unwrap();
        assert!((2..=4).contains(&s.threads.value));
        assert_eq!(s.chunk.value, Chunk::Time(Duration::from_millis(500)));
        assert_eq!(s.max_lag.value, Duration::from_millis(1500));
        assert_eq!(s.cut_over_lock_timeout.value, Duration::from_millis(200));
        assert_eq!(s.default_retries.value, 60);
        assert!(s.rows().iter().all(|row| row.from == Origin::Default));
        assert_eq!(s.throttle(), throttle::Settings::default());
    }

    #[test]
    fn a_flag_outweighs_the_file() {
        let file = "[osc]\nthreads=3\nchunk_size=100\nmax-load=Threads_running=9\n";
        let tuning = Tuning { threads: text("5"), chunk_time_ms: text("50"), ..Tuning::default() };
        let s = resolve(tuning, file).unwrap();
        assert_eq!(s.threads, Setting { value: 5, origin: Origin::Flag("threads") });
        assert_eq!(s.chunk.value, Chunk::Time(Duration::from_millis(50)));
        assert_eq!((s.max_load.value[0].at, s.max_load.origin), (9, Origin::File(Group::Osc)));
        assert!(resolve(Tuning::default(), "[client]\nthreads=3\n").unwrap().threads.origin == Origin::Default);
    }

    #[test]
    fn a_wrong_value_says_where_it_stands() {
        let said = |tuning, file| resolve(tuning, file).unwrap_err().what().to_owned();
        let flag = said(Tuning { threads: text("0"), ..Tuning::default() }, "");
        assert_eq!(flag, "--threads must be a whole number from 1 to 64, not '0'.");
        let file = said(Tuning::default(), "[osc]\nthreads=x\n");
        assert_eq!(file, "threads in ~/.my.cnf [osc] must be a whole number from 1 to 64, not 'x'.");
        assert!(said(Tuning::default(), "[osc]\nthreds=1\n").contains("threds"));
    }

    #[test]
    fn values_that_exclude_each_other() {
        let both = Tuning { chunk_size: text("10"), chunk_time_ms: text("100"), ..Tuning::default() };
        assert!(resolve(both, "").is_err());
        assert!(resolve(Tuning { max_lag_millis: text("100"), ..Tuning::default() }, "").is_err());
        assert!(resolve(Tuning::default(), "[osc]\nmax-lag-millis=100\n").is_ok());
        let loads = |max, critical| Tuning { max_load: text(max), critical_load: text(critical), ..Tuning::default() };
        assert!(resolve(loads("a=5", "A=5"), "").is_err());
        assert!(resolve(loads("a=5", "A=6,b=1"), "").is_ok());
        let files = Tuning { panic_flag_file: text("/tmp/f"), throttle_flag_file: text("/tmp/f"), ..Tuning::default() };
        assert!(resolve(files, "").is_err());
    }

    #[test]
    fn lag_counts_only_with_a_replica() {
        let tuning = Tuning { replica: vec!["mysql://app:geheim@r1".into()], ..Tuning::default() };
        let s = resolve(tuning, "").unwrap();
        assert_eq!(s.throttle().max_lag, Some(Duration::from_millis(1500)));
        assert!(!format!("{s:?} {:?}", s.rows()).contains("geheim"));
        assert!(resolve(Tuning { replica: vec!["mysql:///x".into()], ..Tuning::default() }, "").is_err());
    }

    #[test]
    fn postgres_watches_its_own_standbys() {
        let resolve = |tuning: Tuning| Settings::resolve(&tuning, &OptionFile::default(), Engine::Postgres);
        let s = resolve(Tuning { max_lag_millis: text("900"), ..Tuning::default() }).unwrap();
        assert_eq!(s.throttle().max_lag, Some(Duration::from_millis(900)));
        assert_eq!(s.wait_snapshots.value, Duration::from_secs(3600));
        let replica = Tuning { replica: vec!["postgres://r1".into()], ..Tuning::default() };
        assert_eq!(resolve(replica).unwrap_err().kind(), crate::error::Kind::Refused);
        let waits = || Tuning { wait_snapshots: text("0"), ..Tuning::default() };
        assert_eq!(resolve(waits()).unwrap().wait_snapshots.value, Duration::ZERO);
        assert!(Settings::resolve(&waits(), &OptionFile::default(), Engine::MySql).is_err());
    }
}

//! Whether the run must hold back.
//!
//! [`judge`] is a pure function of limits and what was seen; [`Throttle`] keeps what was seen.
//! Rules, with gh-ost's names and meanings:
//! - the panic flag file ends the run, whatever else is so;
//! - critical load ends it when two readings in a row meet it. The first one holds: one spike, which
//!   the run itself may have caused, is no reason to throw hours of copying away (gh-ost's
//!   `--critical-load-interval-millis`, always on);
//! - the throttle flag file, a gauge at or above its `--max-load` limit, or a replica's lag above the
//!   limit hold it;
//! - the engine itself holds what writes much, the copy and the indexes, where going on would end the run. The keys that
//!   changed are synced all the same, whatever the load and the lag are: as long as they wait, the place in the server's
//!   log stands, and what the engine warns of comes true;
//! - what should be watched but has not been seen for [`STALE`] holds it: a server that is too busy
//!   to answer is exactly the one to spare. So does what was not seen at all yet, which is called something
//!   else: every run begins with that, and it is nobody's trouble.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::flag_file::FlagFile;
use crate::engine::Pressure;

/// A reading older than this says nothing about now.
pub const STALE: Duration = Duration::from_secs(5);

/// A gauge of the server and the value at which it counts as met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub name: String,
    pub at: u64,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.at)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub throttle_flag_file: Option<PathBuf>,
    pub panic_flag_file: Option<PathBuf>,
    pub max_load: Vec<Limit>,
    pub critical_load: Vec<Limit>,
    /// The lag above which the run holds; none when no replica is watched.
    pub max_lag: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Go,
    /// What holds, a colon, and the details: `load: Threads_running is 31, the limit 25`. What stands
    /// before the colon is one of a few, so holds can be counted by it ([`super::stats`]).
    Hold(String),
    /// The same, but the keys that changed are synced.
    HoldCopy(String),
    /// Why the run is given up, in one sentence.
    Abort(String),
}

/// A value and how long ago it was read.
#[derive(Debug, Clone, Copy)]
pub struct Known<T> {
    pub value: T,
    pub age: Duration,
}

/// All that [`judge`] looks at besides the limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    pub panic_flag: bool,
    pub throttle_flag: bool,
    pub lag_ms: Option<Known<u64>>,
    pub load: Option<Known<&'a [(String, f64)]>>,
    /// How many readings in a row, up to the last, met the critical load.
    pub critical_streak: u32,
    /// What the engine itself holds for.
    pub hold: Option<&'a str>,
}

/// What is to be done. The order of the checks is the order of their weight.
pub fn judge(settings: &Settings, seen: &Seen<'_>) -> Verdict {
    if seen.panic_flag {
        return Verdict::Abort(format!("The panic flag file {} exists.", shown(&settings.panic_flag_file)));
    }
    let load = seen.load.filter(|known| known.age <= STALE).map(|known| known.value);
    let met = load.and_then(|load| settings.critical_load.iter().find_map(|limit| meets(limit, load)));
    if let Some(met) = met {
        return if seen.critical_streak >= 2 {
            Verdict::Abort(format!("The critical load was met twice in a row: {met}."))
        } else {
            Verdict::Hold(format!("critical load: {met}"))
        };
    }
    if seen.throttle_flag {
        let file = shown(&settings.throttle_flag_file);
        return Verdict::Hold(format!("throttle flag file: {file} exists"));
    }
    if let Some(why) = seen.hold {
        return Verdict::HoldCopy(why.to_owned());
    }
    for limit in settings.max_load.iter().chain(&settings.critical_load) {
        let Some(_) = load.and_then(|load| gauge(&limit.name, load)) else {
            return Verdict::Hold(match seen.load {
                None => format!("first look at the load: the server has not told {} yet", limit.name),
                Some(_) => format!("load unknown: the server has not told {} lately", limit.name),
            });
        };
    }
    if let Some(met) = load.and_then(|load| settings.max_load.iter().find_map(|limit| meets(limit, load))) {
        return Verdict::Hold(format!("load: {met}"));
    }
    if let Some(max_lag) = settings.max_lag {
        match seen.lag_ms.filter(|known| known.age <= STALE) {
            None if seen.lag_ms.is_none() => {
                return Verdict::Hold("first look at the replicas' lag: it has not been told yet".into());
            }
            None => return Verdict::Hold("replica lag unknown: no replica has told it lately".into()),
            Some(lag) if u128::from(lag.value) > max_lag.as_millis() => {
                let (lag, limit) = (lag.value, max_lag.as_millis());
                return Verdict::Hold(format!("replica lag: {lag} ms, the limit is {limit} ms"));
            }
            Some(_) => {}
        }
    }
    Verdict::Go
}

fn shown(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|p| p.display().to_string()).unwrap_or_default()
}

/// The gauge's value; names of gauges have no case. Not a number is not a value.
fn gauge(name: &str, load: &[(String, f64)]) -> Option<f64> {
    load.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v).filter(|v| v.is_finite())
}

fn meets(limit: &Limit, load: &[(String, f64)]) -> Option<String> {
    let value = gauge(&limit.name, load)?;
    (value >= limit.at as f64).then(|| format!("{} is {value}, the limit {}", limit.name, limit.at))
}

/// Keeps the last readings and the flag files.
#[derive(Debug)]
pub struct Throttle {
    settings: Settings,
    throttle_flag: Option<FlagFile>,
    panic_flag: Option<FlagFile>,
    readings: Readings,
}

#[derive(Debug, Default)]
struct Readings {
    lag_ms: Option<(u64, Instant)>,
    load: Option<(Vec<(String, f64)>, Instant)>,
    critical_streak: u32,
    hold: Option<String>,
}

impl Throttle {
    pub fn new(settings: Settings) -> Self {
        Throttle {
            throttle_flag: settings.throttle_flag_file.clone().map(FlagFile::holding),
            panic_flag: settings.panic_flag_file.clone().map(FlagFile::ending),
            settings,
            readings: Readings::default(),
        }
    }

    /// The gauges that a reading has to contain, each once.
    pub fn gauges(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for limit in self.settings.max_load.iter().chain(&self.settings.critical_load) {
            if !names.iter().any(|n| n.eq_ignore_ascii_case(&limit.name)) {
                names.push(limit.name.clone());
            }
        }
        names
    }

    /// Whether there is anything to read from a server at all.
    pub fn wants_pressure(&self) -> bool {
        self.settings.max_lag.is_some() || !self.settings.max_load.is_empty() || !self.settings.critical_load.is_empty()
    }

    /// Takes a reading in. One that failed is simply not taken in: what was known grows stale.
    pub fn observe(&mut self, pressure: Pressure) {
        let now = Instant::now();
        let readings = &mut self.readings;
        if let Some(lag) = pressure.replica_lag_ms {
            readings.lag_ms = Some((lag, now));
        }
        let critical = self.settings.critical_load.iter().any(|limit| meets(limit, &pressure.load).is_some());
        readings.critical_streak = if critical { readings.critical_streak.saturating_add(1) } else { 0 };
        readings.load = Some((pressure.load, now));
        readings.hold = pressure.hold;
    }

    pub fn verdict(&self) -> Verdict {
        let now = Instant::now();
        let readings = &self.readings;
        let age = |at: Instant| now.duration_since(at);
        judge(
            &self.settings,
            &Seen {
                panic_flag: self.panic_flag.as_ref().is_some_and(FlagFile::is_raised),
                throttle_flag: self.throttle_flag.as_ref().is_some_and(FlagFile::is_raised),
                lag_ms: readings.lag_ms.map(|(value, at)| Known { value, age: age(at) }),
                load: readings.load.as_ref().map(|(value, at)| Known { value: value.as_slice(), age: age(*at) }),
                critical_streak: readings.critical_streak,
                hold: readings.hold.as_deref(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &[(&str, u64)]) -> Vec<Limit> {
        text.iter().map(|(name, at)| Limit { name: name.to_string(), at: *at }).collect()
    }

    fn running(value: f64) -> Pressure {
        Pressure { load: vec![("Threads_running".into(), value)], ..Pressure::default() }
    }

    fn kind(verdict: Verdict) -> String {
        match verdict {
            Verdict::Go => "go".into(),
            Verdict::Hold(reason) | Verdict::HoldCopy(reason) => reason.split(':').next().unwrap().into(),
            Verdict::Abort(_) => "abort".into(),
        }
    }

    fn fresh<T>(value: T) -> Option<Known<T>> {
        Some(Known { value, age: Duration::ZERO })
    }

    #[test]
    fn nothing_to_watch_never_holds() {
        assert_eq!(judge(&Settings::default(), &Seen::default()), Verdict::Go);
    }

    #[test]
    fn the_panic_flag_outweighs_everything() {
        let settings = Settings { max_lag: Some(Duration::from_secs(1)), ..Settings::default() };
        let seen = Seen { panic_flag: true, throttle_flag: true, ..Seen::default() };
        assert_eq!(kind(judge(&settings, &seen)), "abort");
        assert_eq!(kind(judge(&settings, &Seen { panic_flag: false, ..seen })), "throttle flag file");
    }

    #[test]
    fn a_gauge_holds_from_its_limit_on_and_has_no_case() {
        let settings = Settings { max_load: limits(&[("threads_RUNNING", 25)]), ..Settings::default() };
        let at = |value: f64| {
            let load = [("Threads_running".to_string(), value)];
            kind(judge(&settings, &Seen { load: fresh(load.as_slice()), ..Seen::default() }))
        };
        assert_eq!(at(24.0), "go");
        assert_eq!(at(25.0), "load");
        assert_eq!(at(f64::NAN), "load unknown");
    }

    #[test]
    fn a_gauge_that_was_not_read_holds() {
        let settings = Settings { critical_load: limits(&[("Threads_connected", 25)]), ..Settings::default() };
        let load = [("Threads_running".to_string(), 1.0)];
        let seen = Seen { load: fresh(load.as_slice()), ..Seen::default() };
        assert_eq!(kind(judge(&settings, &seen)), "load unknown");
        assert_eq!(kind(judge(&settings, &Seen::default())), "first look at the load");
    }

    #[test]
    fn lag_holds_above_its_limit_and_when_it_is_stale() {
        let settings = Settings { max_lag: Some(Duration::from_millis(1500)), ..Settings::default() };
        let with = |value, age| {
            let lag_ms = Some(Known { value, age });
            kind(judge(&settings, &Seen { lag_ms, ..Seen::default() }))
        };
        assert_eq!(with(1500, Duration::ZERO), "go");
        assert_eq!(with(1501, Duration::ZERO), "replica lag");
        assert_eq!(with(0, STALE + Duration::from_millis(1)), "replica lag unknown");
        assert_eq!(kind(judge(&settings, &Seen::default())), "first look at the replicas' lag");
    }

    #[tokio::test(start_paused = true)]
    async fn critical_load_needs_two_readings_in_a_row() {
        let critical_load = limits(&[("Threads_running", 100)]);
        let mut throttle = Throttle::new(Settings { critical_load, ..Settings::default() });
        assert!(throttle.wants_pressure());
        assert_eq!(throttle.gauges(), ["Threads_running"]);
        throttle.observe(running(500.0));
        assert_eq!(kind(throttle.verdict()), "critical load");
        assert_eq!(kind(throttle.verdict()), "critical load");
        throttle.observe(running(3.0));
        assert_eq!(throttle.verdict(), Verdict::Go);
        throttle.observe(running(500.0));
        assert_eq!(kind(throttle.verdict()), "critical load");
        throttle.observe(running(500.0));
        assert_eq!(kind(throttle.verdict()), "abort");
    }

    #[tokio::test(start_paused = true)]
    async fn the_engine_itself_holds_the_copy_until_it_says_otherwise() {
        let mut throttle =
            Throttle::new(Settings { max_load: limits(&[("Threads_running", 25)]), ..Settings::default() });
        throttle.observe(Pressure { hold: Some("replication slot: nearly lost".into()), ..running(30.0) });
        tokio::time::advance(STALE * 2).await;
        assert_eq!(throttle.verdict(), Verdict::HoldCopy("replication slot: nearly lost".into()));
        throttle.observe(running(3.0));
        assert_eq!(throttle.verdict(), Verdict::Go);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_without_lag_leaves_the_last_one_to_grow_stale() {
        let mut throttle = Throttle::new(Settings { max_lag: Some(Duration::from_secs(1)), ..Settings::default() });
        throttle.observe(Pressure { replica_lag_ms: Some(10), ..Pressure::default() });
        tokio::time::advance(Duration::from_secs(4)).await;
        throttle.observe(Pressure::default());
        assert_eq!(throttle.verdict(), Verdict::Go);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(kind(throttle.verdict()), "replica lag unknown");
    }
}

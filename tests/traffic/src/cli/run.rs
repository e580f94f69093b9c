//! `osc-traffic run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use osc_traffic::{Config, Error, Handle, Mix, Traffic, Verdict};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

use super::signs::Signs;

#[derive(Args)]
pub struct RunArguments {
    /// mysql:// or postgres://user:password@host:port/database
    #[arg(long, env = "OSC_TRAFFIC_URL", hide_env_values = true)]
    url: String,
    #[arg(long, default_value = "orders")]
    table: String,
    /// End after this time (without it and --until-file: with ctrl-C)
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// End when this file appears
    #[arg(long, value_name = "FILE")]
    until_file: Option<PathBuf>,
    #[arg(long, default_value_t = 16)]
    writers: u32,
    /// Operations a second, over all writers
    #[arg(long, default_value_t = 800.0)]
    rate: f64,
    /// Weights that differ from the default, like read=50,delete=0
    #[arg(long, value_parser = mix, default_value = "")]
    mix: Mix,
    /// Two more connections with XA transactions
    #[arg(long)]
    xa: bool,
    /// How long an XA transaction stays prepared, at most
    #[arg(long, value_name = "MS", default_value_t = 200)]
    xa_hold_ms: u64,
    /// PostgreSQL: every connection waits for its commits (else half of them)
    #[arg(long)]
    sync_commits: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A statement without an answer for this long is a lost connection
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    statement_timeout: f64,
    /// Stamp "start" after this time, and only then make the ready file
    #[arg(long, value_name = "N")]
    baseline_seconds: Option<f64>,
    /// Make this file once the traffic flows (and the baseline is over)
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Stamp "swapped" when this file appears
    #[arg(long, value_name = "FILE")]
    swapped_file: Option<PathBuf>,
    /// A file that appears here stamps the phase of its name: cutover, swapped, or any other
    #[arg(long, value_name = "DIR")]
    stamp_dir: Option<PathBuf>,
    /// The table as it was at the swap: it must hold no write that was sent after "swapped"
    #[arg(long, value_name = "TABLE")]
    old_table: Option<String>,
    /// What exits with 0: "lossless" allows failed statements and broken connections
    #[arg(long, value_enum, default_value_t = Accept::Clean)]
    accept: Accept,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
    /// No line a second on standard error
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Accept {
    Clean,
    Lossless,
}

fn mix(text: &str) -> Result<Mix, String> {
    let mut weights = serde_json::Map::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, weight) = part.split_once('=').ok_or_else(|| format!("'{part}' is not name=weight"))?;
        let weight: u32 = weight.parse().map_err(|_| format!("'{weight}' is not a weight"))?;
        weights.insert(name.to_owned(), weight.into());
    }
    serde_json::from_value(weights.into()).map_err(|e| e.to_string())
}

fn seconds(value: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(value).map_err(|e| Error::Usage(format!("{value} seconds: {e}")))
}

pub async fn run(arguments: RunArguments) -> Result<bool, Error> {
    let a = arguments;
    let config = Config {
        url: a.url.clone(),
        table: a.table.clone(),
        writers: a.writers,
        rate_per_s: a.rate,
        mix: a.mix,
        xa: a.xa,
        xa_hold: Duration::from_millis(a.xa_hold_ms),
        async_commits: !a.sync_commits,
        seed: a.seed,
        statement_timeout: seconds(a.statement_timeout)?,
    };
    let mut signs = Signs::new(a.until_file, a.swapped_file, a.stamp_dir)?;
    let length = a.seconds.map(seconds).transpose()?;
    let baseline = a.baseline_seconds.map(seconds).transpose()?;
    let traffic = Traffic::start(config).await?;
    // Whatever happens to the signs and files, the traffic that ran is judged.
    let trouble = play(&traffic, &mut signs, length, baseline, a.ready_file, a.quiet).await.err();
    let ledger = traffic.stop().await;
    if let Some(trouble) = &trouble {
        eprintln!("osc-traffic: {trouble}");
    }
    let mut verdict = ledger.verify(&a.url, &a.table).await?;
    let mut unchecked = None;
    if let Some(old) = &a.old_table {
        match ledger.verify_old(&a.url, old, "swapped").await {
            Ok(old) => verdict = verdict.with_old(old),
            Err(error) => unchecked = Some(error),
        }
    }
    show(&verdict, a.json)?;
    // No swap, or no such table: said after the verdict on the new table, which stands.
    if let Some(error) = unchecked {
        return Err(error);
    }
    let accepted = match a.accept {
        Accept::Clean => verdict.is_clean(),
        Accept::Lossless => verdict.is_lossless(),
    };
    Ok(accepted && trouble.is_none())
}

fn show(verdict: &Verdict, json: bool) -> Result<(), Error> {
    if json {
        let text = serde_json::to_string_pretty(verdict).map_err(|e| Error::Usage(e.to_string()))?;
        println!("{text}");
    } else {
        print!("{verdict}");
    }
    Ok(())
}

/// Until the time is up, the file is there, or somebody interrupts.
async fn play(
    traffic: &Handle,
    signs: &mut Signs,
    length: Option<Duration>,
    mut baseline: Option<Duration>,
    mut ready: Option<PathBuf>,
    quiet: bool,
) -> Result<(), Error> {
    let broken = |e: std::io::Error| Error::Usage(format!("signals: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut report = Instant::now() + Duration::from_secs(1);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = tick.tick() => {}
        }
        let elapsed = traffic.elapsed();
        if baseline.is_some_and(|baseline| elapsed >= baseline) {
            baseline = None;
            traffic.stamp("start");
        }
        if baseline.is_none()
            && let Some(file) = ready.take()
        {
            std::fs::write(&file, "").map_err(|e| Error::Usage(format!("{}: {e}", file.display())))?;
        }
        if signs.look(traffic)? || length.is_some_and(|length| elapsed >= length) {
            return Ok(());
        }
        if !quiet && Instant::now() >= report {
            report += Duration::from_secs(1);
            let p = traffic.progress();
            eprintln!(
                "{:>5.0} s  {:>5}/s  worst {:>7.1} ms  {:>8} rows committed  {} failed  {} connections lost",
                p.elapsed_s, p.rate_per_s, p.worst_ms, p.committed_rows, p.failed, p.connections_lost
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_name() {
        assert_eq!(mix(""), Ok(Mix::default()));
        assert_eq!(mix("read=1,delete=0"), Ok(Mix { read: 1, delete: 0, ..Mix::default() }));
        assert!(mix("reed=1").is_err());
        assert!(mix("read").is_err());
        assert!(mix("read=-1").is_err());
    }
}

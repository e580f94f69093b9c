//! `osc-traffic fill`.

use clap::Args;
use osc_traffic::{Error, FillOptions};

#[derive(Args)]
pub struct FillArguments {
    /// mysql:// or postgres://user:password@host:port/database
    #[arg(long, env = "OSC_TRAFFIC_URL", hide_env_values = true)]
    url: String,
    #[arg(long, default_value = "orders")]
    table: String,
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Fail if the table exists, instead of replacing it
    #[arg(long)]
    keep: bool,
    /// Make email unique
    #[arg(long)]
    unique_email: bool,
}

pub async fn run(arguments: FillArguments) -> Result<bool, Error> {
    let FillArguments { url, table, rows, keep, unique_email } = arguments;
    let options = FillOptions { table, rows, replace: !keep, unique_email };
    let took = osc_traffic::fill(&url, &options).await?;
    println!("{rows} rows in {} ({:.1} s)", options.table, took.as_secs_f64());
    Ok(true)
}

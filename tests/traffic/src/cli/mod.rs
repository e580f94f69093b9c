//! The commands.

pub mod fill;
pub mod run;
mod signs;

use clap::Args;
use osc_traffic::Error;

#[derive(Args)]
pub struct SelfCheckArguments {
    /// mysql:// or postgres://user:password@host:port/database; it makes tables of its own there and drops them
    #[arg(long, env = "OSC_TRAFFIC_URL", hide_env_values = true)]
    url: String,
}

pub async fn self_check(arguments: SelfCheckArguments) -> Result<bool, Error> {
    print!("{}", osc_traffic::self_check(&arguments.url).await?);
    Ok(true)
}

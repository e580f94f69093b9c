//! `osc-traffic`: fills a table, runs the traffic on it, and says whether anything was lost.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Live traffic with a ledger of what the server acknowledged.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create the table and fill it, inside the server.
    Fill(cli::fill::FillArguments),
    /// Run the traffic, then compare the table with what was acknowledged. Exits with 1 unless clean.
    Run(Box<cli::run::RunArguments>),
    /// Damage a table of its own in every way that matters and see that each is reported.
    SelfCheck(cli::SelfCheckArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Fill(arguments) => cli::fill::run(arguments).await,
        Command::Run(arguments) => cli::run::run(*arguments).await,
        Command::SelfCheck(arguments) => cli::self_check(arguments).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("osc-traffic: {error}");
            ExitCode::from(2)
        }
    }
}

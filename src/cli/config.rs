//! `osc config show`: what is in effect, and where each of it came from.

use serde::Serialize;

use super::args::{Global, Tuning};
use super::connection::Target;
use super::environment::Environment;
use super::origin::Row;
use super::settings::Settings;
use crate::error::Result;
use crate::operate::output::{Output, event, say};

#[derive(Serialize)]
struct Shown {
    settings: Vec<Row>,
}

pub fn show(tuning: &Tuning, global: &Global, env: &Environment, output: Output) -> Result<()> {
    let engine = env.engine(global.url.as_deref());
    let settings = Settings::resolve(tuning, env.file(engine), engine)?;
    let mut rows = Target::resolve(global, env)?.rows();
    rows.extend(settings.rows());
    if output.json {
        event("config", &Shown { settings: rows });
    } else {
        say(&table(&rows));
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let cells: Vec<_> = rows.iter().map(|r| (r.name, r.value.as_deref().unwrap_or("-"), r.from.to_string())).collect();
    let names = cells.iter().map(|c| c.0.chars().count()).max().unwrap_or(0);
    let values = cells.iter().map(|c| c.1.chars().count()).max().unwrap_or(0);
    let lines: Vec<_> = cells.iter().map(|(n, v, from)| format!("{n:names$}  {v:values$}  {from}")).collect();
    lines.join("\n")
}

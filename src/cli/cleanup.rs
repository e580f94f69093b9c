//! `osc cleanup`: removes what dead runs left behind.

use serde::Serialize;

use super::alter::address;
use super::ask::confirm;
use super::request::CleanupRequest;
use super::runtime;
use crate::engine::mysql::cleanup::{Leftover, find, remove};
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::Ident;
use crate::error::Result;
use crate::operate::output::{Output, event, say};

#[derive(Serialize)]
struct Line<'a> {
    table: String,
    /// `removed`, `would remove`, or why it was left alone.
    what: &'a str,
    statement: &'a str,
}

pub fn run(request: CleanupRequest) -> Result<()> {
    runtime::block_on(cleanup(request))
}

async fn cleanup(request: CleanupRequest) -> Result<()> {
    let mut session = Session::open(&address(&request.connection).await?).await?;
    let found = find(&mut session, &Ident::new(&request.database), request.table.as_deref()).await?;
    let old = found.iter().any(|left| left.is_old && reason(left, &request).is_none());
    if old && !request.yes && !request.dry_run {
        confirm("Old tables will be dropped, which can't be undone. Go on?")?;
    }
    let mut left_alone = 0;
    for left in &found {
        match reason(left, &request) {
            Some(why) => {
                left_alone += 1;
                tell(left, why, request.output);
            }
            None if request.dry_run => tell(left, "would remove", request.output),
            None => {
                remove(&mut session, left).await?;
                tell(left, "removed", request.output);
            }
        }
    }
    if !request.output.json && found.len() == left_alone {
        say("Nothing to remove.");
    }
    Ok(())
}

/// Why a table is left alone.
fn reason(left: &Leftover, request: &CleanupRequest) -> Option<&'static str> {
    match left {
        left if left.live => Some("left alone: a run is at work on its table"),
        left if !left.ours => Some("left alone: nothing shows that osc made it"),
        left if left.is_old && !request.old => Some("left alone: an old table; --old removes it"),
        _ => None,
    }
}

fn tell(left: &Leftover, what: &str, output: Output) {
    let table = left.table.bare();
    if output.json {
        event("cleanup", &Line { table, what, statement: &left.statement });
    } else {
        say(&format!("{what}: {table}"));
    }
}

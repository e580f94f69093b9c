//! `osc cleanup`: removes what dead runs left behind.

use serde::Serialize;

use super::ask::confirm;
use super::engine::Engine;
use super::request::CleanupRequest;
use super::runtime;
use super::servers::{mysql_address, postgres_address};
use crate::engine::mysql::cleanup as mysql;
use crate::engine::mysql::session::Session as MySqlSession;
use crate::engine::mysql::sql::Ident;
use crate::engine::postgres::cleanup as postgres;
use crate::engine::postgres::session::Session as PostgresSession;
use crate::error::Result;
use crate::operate::output::{Output, event, say};

/// Something that a dead run left behind, whatever the engine calls it.
trait Left {
    /// As it is told to the user.
    fn name(&self) -> String;
    fn statement(&self) -> &str;
    fn is_live(&self) -> bool;
    /// Something shows that osc made it.
    fn is_ours(&self) -> bool;
    /// It holds the user's rows as they were before a swap.
    fn is_old(&self) -> bool;
}

impl Left for mysql::Leftover {
    fn name(&self) -> String {
        self.table.bare()
    }

    fn statement(&self) -> &str {
        &self.statement
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn is_ours(&self) -> bool {
        self.ours
    }

    fn is_old(&self) -> bool {
        self.is_old
    }
}

impl Left for postgres::Leftover {
    fn name(&self) -> String {
        postgres::Leftover::name(self)
    }

    fn statement(&self) -> &str {
        &self.statement
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn is_ours(&self) -> bool {
        self.ours
    }

    fn is_old(&self) -> bool {
        self.is_old
    }
}

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
    match request.connection.engine {
        Engine::MySql => {
            let mut session = MySqlSession::open(&mysql_address(&request.connection).await?).await?;
            let table = request.table.as_ref().map(|name| name.table.as_str());
            let found = mysql::find(&mut session, &Ident::new(&request.database), table).await?;
            cleanup_of(&request, &found, async |left| mysql::remove(&mut session, left).await).await
        }
        Engine::Postgres => {
            let mut session = PostgresSession::open(&postgres_address(&request.connection)?).await?;
            let mut found = postgres::find(&mut session, &request.database, None).await?;
            // By name, because the table itself may be gone.
            if let Some(name) = &request.table {
                found.retain(|left| {
                    left.original.as_ref().is_some_and(|table| {
                        let schema = name.space.as_ref().is_none_or(|space| space == table.schema.bare());
                        schema && table.name.bare() == name.table
                    })
                });
            }
            let database = &request.database;
            cleanup_of(&request, &found, async |left| postgres::remove(&mut session, database, left).await).await
        }
    }
}

/// Removes what may be removed, whatever the engine.
async fn cleanup_of<L: Left>(
    request: &CleanupRequest,
    found: &[L],
    mut remove: impl AsyncFnMut(&L) -> Result<()>,
) -> Result<()> {
    let old = found.iter().any(|left| left.is_old() && reason(left, request).is_none());
    if old && !request.yes && !request.dry_run {
        confirm("Old tables will be dropped, which can't be undone. Go on?")?;
    }
    let mut left_alone = 0;
    for left in found {
        match reason(left, request) {
            Some(why) => {
                left_alone += 1;
                tell(left, why, request.output);
            }
            None if request.dry_run => tell(left, "would remove", request.output),
            None => {
                remove(left).await?;
                tell(left, "removed", request.output);
            }
        }
    }
    if !request.output.json && found.len() == left_alone {
        say("Nothing to remove.");
    }
    Ok(())
}

/// Why it is left alone.
fn reason(left: &impl Left, request: &CleanupRequest) -> Option<&'static str> {
    match left {
        left if left.is_live() => Some("left alone: a run is at work on its table"),
        left if !left.is_ours() => Some("left alone: nothing shows that osc made it"),
        left if left.is_old() && !request.old => Some("left alone: an old table; --old removes it"),
        _ => None,
    }
}

fn tell(left: &impl Left, what: &str, output: Output) {
    let table = left.name();
    if output.json {
        event("cleanup", &Line { table, what, statement: left.statement() });
    } else {
        say(&format!("{what}: {table}"));
    }
}

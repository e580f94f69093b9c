//! What is looked at before anything is touched.
//!
//! A run that can't end well is refused here, with exit 3, on an untouched server. Everything is asked
//! as the documented least-privileged account, by statements that change nothing. All that is wrong is
//! found at once and told in one error, so that it can be put right in one go; only a server that osc
//! doesn't know at all is refused before the rest is asked. Where a missing privilege hides an answer,
//! the privilege is reported and the question is left out.
//!
//! What can change while a run is under way (prepared XA transactions, another table under the old
//! table's name) is looked at again where it matters; this is the first look, not the only one.

mod grants;
mod leftovers;
mod privileges;
pub mod replication;
mod server;
mod table;
mod variables;
pub mod xa;

use super::catalog::TableInfo;
use super::flavor::Flavor;
use super::names::Names;
use super::session::Session;
use crate::engine::problems::Problems;
use crate::error::{Kind, Result};
use variables::Variables;

pub use table::spelled;
pub use xa::prepared_xa;

/// What the run and its plan have to know of the server and the table.
#[derive(Debug, Clone)]
pub struct Facts {
    pub flavor: Flavor,
    /// Whether places in the stream can be told by GTID.
    pub gtid_mode: bool,
    /// The server's binlog_row_image; sessions of the application may have another.
    pub row_image: String,
    pub lower_case_table_names: u8,
    pub autoinc_lock_mode: u8,
    /// Whether commits wait for a replica.
    pub semi_sync: bool,
    pub max_allowed_packet: u64,
    /// The server's own, not that of osc's sessions.
    pub time_zone: String,
    pub sql_mode: String,
    /// Connections that read the binlog now: replicas, other tools.
    pub replicas: u64,
    pub table: TableInfo,
    /// Sentences for the plan.
    pub hints: Vec<String>,
}

impl Facts {
    /// Whether a value that does not fit its column is an error rather than cut.
    pub fn strict(&self) -> bool {
        self.sql_mode.split(',').any(|flag| flag == "STRICT_TRANS_TABLES" || flag == "STRICT_ALL_TABLES")
    }
}

/// Looks at the server, the account and the table. `resuming` says that the run whose tables are there
/// is the one that goes on.
pub async fn check(session: &mut Session, names: &Names, resuming: bool) -> Result<Facts> {
    server::known(session).await?;
    let mut problems = Problems::default();
    let mut hints = Vec::new();
    let variables = Variables::read(session).await?;
    server::settings(&variables, &mut problems, &mut hints);
    let held = grants::check(session, &variables, &names.original.db, &mut problems, &mut hints).await?;
    server::database(session, &names.original.db, &mut problems).await?;
    let replicas = replication::check(session, &variables, &held, &mut problems, &mut hints).await?;
    if held.sees_xa() {
        xa::check(session, &mut problems).await?;
    }
    let table = table::check(session, &names.original, &held, &mut problems).await;
    let table = unless_hidden(table, held.all_on_database())?.flatten();
    let left = leftovers::check(session, names, resuming, &mut problems).await;
    unless_hidden(left, held.all_on_database())?;
    // Without a table there is a problem that says so.
    let Some(table) = problems.none_but(table)? else { return Err(table::missing(&names.original)) };
    server::advise(&variables, &table, &mut hints);
    Ok(Facts {
        flavor: session.flavor,
        gtid_mode: session.flavor.is_mariadb() || variables.get("gtid_mode") == Some("ON"),
        row_image: variables.get("binlog_row_image").unwrap_or("FULL").to_uppercase(),
        lower_case_table_names: variables.number("lower_case_table_names").unwrap_or(0),
        autoinc_lock_mode: variables.number("innodb_autoinc_lock_mode").unwrap_or(1),
        semi_sync: replication::semi_sync(&variables),
        max_allowed_packet: variables.number("max_allowed_packet").unwrap_or(16 << 20),
        time_zone: server::time_zone(&variables),
        sql_mode: variables.get("sql_mode").unwrap_or_default().to_owned(),
        replicas,
        table,
        hints,
    })
}

/// An answer that the server denied is none when a missing privilege was reported already.
fn unless_hidden<T>(answer: Result<T>, all_held: bool) -> Result<Option<T>> {
    match answer {
        Err(error) if error.kind() == Kind::Refused && !all_held => {
            tracing::debug!(%error, "not looked at for want of a privilege");
            Ok(None)
        }
        other => other.map(Some),
    }
}

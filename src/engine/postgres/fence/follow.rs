//! Leads materialized views to the new table, when the swap is done.
//!
//! Each gets a twin, planned by `dependents::matviews`: made here, filled by its owner under its owner's settings, and put into the place of the one that
//! leans on the old table. The application reads that one all the while, and waits only for the last step: one transaction of catalog
//! changes, whose locks (views over it first, the outer ones before the inner, then the materialized view) are asked for in
//! fractions of a second and given back when they can't be had, since somebody who refreshes it may hold it for long.
//!
//! **It may be said again, by any process.** Whether there is anything to do is read from the catalog: the materialized
//! view leans on the old table, or not. The last step is one transaction, and what is before it makes nothing but the twin, anew.
//!
//! **It is not passed over.** A materialized view that stays behind would be refreshed from a table that nobody writes to any more, without
//! an error. So a run that can't lead it on ends as one that was stopped: the state is kept, the same command does the rest, and the
//! old table can't be dropped meanwhile, because it is leaned on.

use std::time::Duration;

use tokio::time::Instant;

use super::super::connect::Address;
use super::super::dependents::matviews::Matview;
use super::super::dependents::views;
use super::super::names::Names;
use super::super::session::{PINNED, Session, code, number, text_at};
use super::super::sql::{Table, text};
use crate::engine::postgres::session;
use crate::error::{Error, Kind, Result};
use crate::failpoint;

/// One lock's wait, and what all of a try may wait together: the application queues behind it.
const LOCK_WAIT: Duration = Duration::from_millis(200);
const TRY: Duration = Duration::from_millis(600);
const PAUSE: Duration = Duration::from_millis(300);
/// How long somebody's refresh is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// What values of a materialized view may depend on, of those settings that osc pins for itself.
const SETTINGS: [&str; 8] = [
    "timezone",
    "datestyle",
    "intervalstyle",
    "extra_float_digits",
    "bytea_output",
    "xmloption",
    "search_path",
    "row_security",
];

/// Finds out under which settings each would be refreshed by its owner: the role's in this database, the role's,
/// the database's, the server's. The last are those of a session that asks for nothing.
pub async fn settings(address: &Address, session: &mut Session, matviews: &mut [Matview]) -> Result<()> {
    if matviews.is_empty() {
        return Ok(());
    }
    let own: Vec<(&str, &str)> = PINNED.iter().copied().filter(|(name, _)| !SETTINGS.contains(name)).collect();
    let mut plain = Session::open_under(address, &own).await?;
    for matview in matviews {
        matview.settings.clear();
        for name in SETTINGS {
            let sql = format!(
                "SELECT substr(c, length({name}) + 2) FROM pg_db_role_setting s, unnest(s.setconfig) c \
                 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
                   AND s.setrole IN (0, {owner}::regrole) AND (s.setdatabase <> 0 OR s.setrole <> 0) \
                   AND lower(split_part(c, '=', 1)) = {name} \
                 ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1",
                name = text(name),
                owner = text(&matview.owner.to_string())
            );
            let value = match session.value(&sql).await? {
                Some(value) => value,
                None => plain.value(&format!("SHOW {name}")).await?.unwrap_or_default(),
            };
            matview.settings.push((name.to_owned(), value));
        }
    }
    Ok(())
}

/// Leads one on, if it still leans on the old table.
pub async fn lead(session: &mut Session, names: &Names, matview: &Matview) -> Result<()> {
    let Some(populated) = leans(session, names, matview).await? else { return Ok(()) };
    tracing::info!(materialized_view = %matview.name.bare(), "leading a materialized view to the new table");
    make(session, names, matview, populated).await.map_err(|error| left_behind(names, matview, error))?;
    failpoint::hit("follower-made", &[session.pid.unsigned_abs()]).await;
    let until = Instant::now() + PATIENCE;
    loop {
        let placed = session.transaction(async |session| place(session, names, matview).await).await;
        match placed {
            Err(error) if is_held(&error) && Instant::now() < until => tokio::time::sleep(PAUSE).await,
            other => return other.map_err(|error| left_behind(names, matview, error)),
        }
    }
}

/// None: it does not lean on the old table, or is gone. Else whether it has rows.
async fn leans(session: &mut Session, names: &Names, matview: &Matview) -> Result<Option<bool>> {
    let sql = format!(
        "SELECT m.relispopulated FROM pg_class m JOIN pg_namespace n ON n.oid = m.relnamespace \
         WHERE n.nspname = {} AND m.relname = {} AND m.relkind = 'm' AND EXISTS (SELECT FROM pg_rewrite r \
           JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass \
           WHERE r.ev_class = m.oid AND d.refobjid = to_regclass({}))",
        text(matview.name.schema.bare()),
        text(matview.name.name.bare()),
        text(&names.old.to_string())
    );
    Ok(session.first(&sql).await?.map(|row| row.get(0) == Some("t")))
}

async fn make(session: &mut Session, names: &Names, matview: &Matview, populated: bool) -> Result<()> {
    let schema = &matview.twin.schema;
    let there = format!("SELECT 1 FROM pg_namespace WHERE nspname = {}", text(schema.bare()));
    if session.first(&there).await?.is_none() {
        // `osc cleanup` was told to remove what is left, and began with this.
        session.exec_all(&names.create_schema(schema)).await?;
    }
    session.exec(&format!("DROP MATERIALIZED VIEW IF EXISTS {}", matview.twin)).await?;
    session.exec_all(&matview.make).await?;
    if populated {
        let refresh = async |session: &mut Session| {
            for (name, value) in &matview.settings {
                session.exec(&format!("SELECT set_config({}, {}, true)", text(name), text(value))).await?;
            }
            session.exec_long(&format!("REFRESH MATERIALIZED VIEW {}", matview.twin)).await
        };
        session.transaction(refresh).await?;
        session.exec_long(&format!("ANALYZE {}", matview.twin)).await?;
    }
    Ok(())
}

/// The last step, but for the views over it: they are said anew, as they are then, before the DROP.
pub fn place_statements(names: &Names, Matview { name, twin, .. }: &Matview) -> [String; 3] {
    let old = Table { schema: names.old.schema.clone(), name: name.name.clone() };
    [
        format!("ALTER MATERIALIZED VIEW {name} SET SCHEMA {}", old.schema),
        format!("ALTER MATERIALIZED VIEW {twin} SET SCHEMA {}", name.schema),
        format!("DROP MATERIALIZED VIEW {old}"),
    ]
}

/// Puts the twin into the place of the other one, in the caller's transaction.
async fn place(session: &mut Session, names: &Names, matview: &Matview) -> Result<()> {
    let begun = Instant::now();
    let name = &matview.name;
    let sql = format!(
        "SELECT c.oid, concat_ws(', ', c.reltype, t.typarray) FROM pg_class c JOIN pg_type t ON t.oid = c.reltype WHERE c.oid = {}",
        name.regclass()
    );
    let found = session.row(&sql).await?;
    let (oid, types): (u32, _) = (number(&found, 0)?, text_at(&found, 1).unwrap_or_default());
    let over = views::over(session, oid, &types).await?;
    let [aside, along, drop] = place_statements(names, matview);
    for lock in views::locks(&over.iter().collect::<Vec<_>>()).into_iter().chain([aside]) {
        let wait = TRY.saturating_sub(begun.elapsed()).min(LOCK_WAIT).as_millis().max(1);
        session.exec(&format!("SET LOCAL lock_timeout = {wait}; {lock}")).await?;
    }
    // As they were read before the move: with the name that the twin is going to have.
    let mut statements = vec![along];
    statements.extend(over.iter().map(|view| view.replace(&view.definition)));
    statements.push(drop);
    session.exec_all(&statements).await
}

/// A lock that could not be had, or a view that somebody has built on it since the list was read.
fn is_held(error: &Error) -> bool {
    code(error).is_some_and(|code| ["55P03", "40P01", "2BP01"].contains(&code.code()))
}

/// The tables are swapped; this is what the user is to know of the rest. A connection that was lost is worth another try.
fn left_behind(names: &Names, matview: &Matview, error: Error) -> Error {
    let kind = if session::is_lost(&error) { Kind::Transient } else { Kind::Stopped };
    let why = error.what().to_owned();
    Error::new(kind, format!("The materialized view {} could not be led to the new table: {why}", matview.name.bare()))
    .table(format!(
        "The tables are swapped, and {} has all its rows; the materialized view shows what it showed, and leans on the old table, {}.",
        names.original.bare(),
        names.old.bare()
    ))
    .todo("When the cause is gone run the same command again, and it does the rest; don't refresh the materialized view before.")
    .caused_by(error)
}

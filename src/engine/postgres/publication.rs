//! The publication: which columns of the table go into the stream.
//!
//! Only those of the key: 177 times fewer bytes than whole rows (seen). Three things have to be right. The
//! list must cover the replica identity, or the application's own UPDATE and DELETE fail; so the server is
//! asked to plan both, in the transaction that makes the publication: an error there rolls all of it back
//! before anybody met it. Under REPLICA IDENTITY FULL no list covers it, so there is none. And the
//! publication is committed before the slot is made: the other way round 15's stream is stuck for ever, and
//! 18 skips keys silently (seen).

use super::identity::{Found, Identity};
use super::names::Names;
use super::session::{Session, code};
use super::sql::{Ident, list, text};
use crate::error::{Error, Kind, Result};

/// How long the publication's lock on the table is waited for, which keeps no statement of the application's waiting: long
/// enough for the server to make an autovacuum give way, after `deadlock_timeout`, and a second more (with one second in
/// all, the wait was over in that moment, and the run was refused: seen).
const LOCK_TIMEOUT: &str = "SELECT set_config('lock_timeout', (setting::bigint + 1000)::text, true) \
    FROM pg_settings WHERE name = 'deadlock_timeout'";

/// Publishes the table; a publication of an earlier attempt is replaced.
pub async fn create(session: &mut Session, names: &Names, found: &Found, probe: &Ident) -> Result<()> {
    let (publication, table) = (&names.publication, &names.original);
    let columns = match &found.identity {
        Identity::Columns(columns) => format!(" ({})", list(columns)),
        Identity::Full => String::new(),
    };
    session.exec("BEGIN").await?;
    let made = async {
        session.exec(LOCK_TIMEOUT).await?;
        session.exec(&format!("DROP PUBLICATION IF EXISTS {publication}")).await?;
        session
            .exec(&format!(
                "CREATE PUBLICATION {publication} FOR TABLE ONLY {table}{columns} \
                 WITH (publish = 'insert, update, delete, truncate')"
            ))
            .await?;
        session.exec(&format!("EXPLAIN UPDATE {table} SET {probe} = DEFAULT WHERE false")).await?;
        session.exec(&format!("EXPLAIN DELETE FROM {table} WHERE false")).await?;
        session.exec("COMMIT").await
    }
    .await;
    match made {
        Ok(_) => Ok(()),
        Err(error) => {
            // When even this fails the connection is gone, and the server rolls back by itself.
            if let Err(again) = session.exec("ROLLBACK").await {
                tracing::debug!(%again, "the publication's transaction could not be rolled back");
            }
            Err(explain(error, names))
        }
    }
}

fn explain(error: Error, names: &Names) -> Error {
    let table = names.original.bare();
    match (error.kind(), code(&error).map(|c| c.code().to_string()).as_deref()) {
        (Kind::Transient, _) => error.context("The table could not be published"),
        (_, Some("42501")) => error
            .context(&format!("osc may not publish {table}"))
            .todo("Grant what docs/grants/postgres.sql names: osc must be a member of the table's owner, and may create in the database."),
        _ => error
            .context(&format!("The changes of {table} can't be published without harm to the application"))
            .with_kind(Kind::Refused)
            .table("The table is untouched, and nothing is published.")
            .todo("The table needs a primary key, or a unique index as its replica identity, of plain columns."),
    }
}

/// Takes the publication away; it may be gone.
pub async fn drop(session: &mut Session, publication: &Ident) -> Result<()> {
    session.exec(&format!("DROP PUBLICATION IF EXISTS {publication}")).await.map(std::mem::drop)
}

/// What is published, compared as a whole; empty when the publication is gone. 18 goes on without a word when it is
/// (15 ends the stream): what changes then is in no stream.
pub async fn fingerprint(session: &mut Session, publication: &Ident) -> Result<String> {
    let sql = format!(
        "SELECT concat_ws('|', p.oid, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, \
           (SELECT string_agg(concat_ws(',', r.oid, r.prrelid, r.prattrs::text, r.prqual::text), ';' ORDER BY r.oid) \
            FROM pg_publication_rel r WHERE r.prpubid = p.oid)) \
         FROM pg_publication p WHERE p.pubname = {}",
        text(publication.bare())
    );
    Ok(session.value(&sql).await?.unwrap_or_default())
}

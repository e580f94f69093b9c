//! The swap on MariaDB, which refuses RENAME under LOCK TABLES (error 1192).
//!
//! A second session queues the RENAME behind the locks. **A sentry table under the old table's name
//! makes it fail as long as it is there.** The holder checks that the RENAME is queued, drops the sentry
//! and unlocks. RENAME asks for its locks in name order, and both other names sort after the
//! original's, so a RENAME that waits for a table lock waits on the original; when the holder unlocks,
//! the exclusive request goes before the writers that queue behind it, and they find the new table.
//!
//! Only another exclusive request that queued up earlier goes first: a TRUNCATE would empty the old table,
//! and the swap would bring the rows back (seen). So the holder lets go only if nobody waits but readers and
//! writers, whose requests come after an exclusive one whenever they were made; who comes later than the
//! RENAME is served after it.
//!
//! If the holder dies before it dropped the sentry, the RENAME fails on the sentry: not swapped. If it
//! dies after, the RENAME goes through, and everything was synced before the RENAME was sent: swapped
//! and complete. If the renaming session is killed after that, either may be: the client sees the connection
//! closed before the server's thread has looked up, and the lock that osc gives back then may still be granted
//! to it (seen). The catalog is asked once both sessions are gone. There is no third case, but for one: a process that stands still before it sends the
//! RENAME, while its locks are lost and the sentry and the shadow are removed (`osc cleanup`) and made anew
//! by another run. So the server itself looks whose life it is, in the statement that holds the RENAME
//! ([`super::state::in_life`]); whoever removes a run's tables ends its life first.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::mysql::names::Names;
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::text;
use crate::error::{Error, Result};
use crate::failpoint;

/// The sentry's table comment, by which it's known from an old table with the user's rows.
pub const SENTRY: &str = "osc: sentry, holds no data";

/// How long the RENAME may take to queue up.
const QUEUE: Duration = Duration::from_secs(1);

pub fn sentry_statement(names: &Names) -> String {
    format!("CREATE TABLE {} (sentry INT PRIMARY KEY) ENGINE=InnoDB COMMENT={}", names.old, quoted(SENTRY))
}

fn quoted(comment: &str) -> String {
    format!("'{}'", comment.replace('\'', "''"))
}

/// Puts the sentry where the old table will be. It stays between attempts.
pub async fn put_sentry(session: &mut Session, names: &Names) -> Result<()> {
    match comment(session, names).await? {
        Some(comment) if comment == SENTRY => Ok(()),
        Some(_) => Err(Error::definite(format!("A table named {} exists.", names.old.bare()))
            .table("The table is unchanged.")
            .todo("Rename or drop that table, and run the same command again.")),
        None => session.exec(&sentry_statement(names)).await.map(drop),
    }
}

/// Removes the sentry, and nothing but the sentry.
pub async fn remove_sentry(session: &mut Session, names: &Names) -> Result<()> {
    match comment(session, names).await? {
        Some(comment) if comment == SENTRY => session.exec(&format!("DROP TABLE {}", names.old)).await.map(drop),
        _ => Ok(()),
    }
}

async fn comment(session: &mut Session, names: &Names) -> Result<Option<String>> {
    let (db, name) = (text(names.old.db.bare()), text(names.old.name.bare()));
    let sql = format!(
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = {db} AND table_name = {name}"
    );
    session.first(&sql).await
}

/// `guarded` is the statement that holds `rename`.
pub async fn rename(
    holder: &mut Session,
    renamer: &mut Session,
    names: &Names,
    rename: &str,
    guarded: &str,
) -> Result<()> {
    let id = renamer.id;
    let queued = renamer.exec(guarded);
    tokio::pin!(queued);
    let unlock = async {
        wait_until_queued(holder, id, rename).await?;
        nobody_first(holder, id, names).await?;
        failpoint::hit("rename-queued", &[holder.id, id]).await;
        holder.exec(&format!("DROP TABLE {}", names.old)).await?;
        failpoint::hit("sentry-dropped", &[holder.id, id]).await;
        holder.exec("UNLOCK TABLES").await.map(drop)
    };
    let unlocked = tokio::select! {
        biased;
        renamed = &mut queued => return renamed.map(drop),
        unlocked = unlock => unlocked,
    };
    match unlocked {
        Ok(()) => {
            queued.await?;
            failpoint::hit("renamed", &[holder.id, id]).await;
            Ok(())
        }
        // The locks may still be held; the caller ends both connections and looks.
        Err(error) => Err(error),
    }
}

/// Waits until the server says that the RENAME waits for a table lock.
async fn wait_until_queued(holder: &mut Session, id: u32, rename: &str) -> Result<()> {
    // The other column, INFO, has no characters of four bytes.
    let sql = format!("SELECT state, info_binary FROM information_schema.processlist WHERE id = {id}");
    let until = Instant::now() + QUEUE;
    while Instant::now() < until {
        let row: Option<(Option<String>, Option<Vec<u8>>)> = holder.first(&sql).await?;
        if let Some((Some(state), Some(info))) = row
            && state == "Waiting for table metadata lock"
            && info == rename.as_bytes()
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(Error::transient("The RENAME did not queue up behind the lock in time."))
}

/// Refuses to let the RENAME go while a statement that may need the whole table has queued up before it.
async fn nobody_first(holder: &mut Session, renamer: u32, names: &Names) -> Result<()> {
    let sql = format!(
        "SELECT id, info_binary FROM information_schema.processlist \
         WHERE state = 'Waiting for table metadata lock' AND id <> {renamer} AND id <> CONNECTION_ID()"
    );
    let waiting: Vec<(u64, Option<Vec<u8>>)> = holder.all(&sql).await?;
    let table = names.original.name.bare().to_lowercase();
    for (id, info) in waiting {
        let statement = String::from_utf8_lossy(&info.unwrap_or_default()).into_owned();
        if goes_first(&statement, &table) {
            return Err(Error::transient(format!(
                "Connection {id} waits for the whole table and would come before the swap: {}.",
                statement.chars().take(80).collect::<String>()
            )));
        }
    }
    Ok(())
}

/// Statements that ask for no more than to read or write rows, or for LOCK TABLES, which an exclusive request
/// goes before too.
const HARMLESS: [&str; 10] =
    ["select", "insert", "update", "delete", "replace", "with", "load", "lock", "show", "explain"];

/// Whether a waiting statement may be served before an exclusive request that was made after it. When in
/// doubt it may.
fn goes_first(statement: &str, table: &str) -> bool {
    let text = statement.to_lowercase();
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix("/*").filter(|c| !c.starts_with(['!', 'm'])) {
        rest = comment.split_once("*/").map_or("", |(_, after)| after).trim_start();
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    // What these carry out need not stand in them.
    let hidden = matches!(word.as_str(), "" | "execute" | "call");
    let concerns = hidden || [table, "database", "schema"].iter().any(|name| text.contains(name));
    concerns && !HARMLESS.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::goes_first;

    #[test]
    fn only_what_may_need_the_whole_table_goes_first() {
        for first in
            ["TRUNCATE TABLE Orders", "/* app */ truncate `orders`", "DROP DATABASE shop", "EXECUTE s", "", "/* ORDERS"]
        {
            assert!(goes_first(first, "orders"), "{first}");
        }
        for after in [
            "INSERT INTO orders VALUES (1)",
            "/* drop */ SELECT 1 FROM orders",
            "TRUNCATE items",
            "LOCK TABLES orders WRITE",
        ] {
            assert!(!goes_first(after, "orders"), "{after}");
        }
    }
}

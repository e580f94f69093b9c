//! Which server of a list is the one to work on, and whether a run that began on one server may go on on
//! another.
//!
//! **One process, one server.** A run's connections are pinned to the server that it began on (see
//! [`Address::pinned`]): what the process believes to be copied was acknowledged by that server, and another
//! one may lack the last of it. When another server answers, the run stops where it can be resumed.
//!
//! **The next process may go on elsewhere, if it is proved that the new server's history is the old one's up to
//! some point, without a gap.** The run's tables are replicated like any other, and each chunk is committed
//! with its note and each place stored after what lies before it. So whatever point that is, the state that
//! is found there belongs to the shadow that is found there, and nothing acknowledged by the old server
//! afterwards matters: neither the shadow nor the note of it is there. Proved by GTIDs (MySQL):
//! - the new server has every transaction before the stored place;
//! - of no server does it lack a transaction between that place and the newest that it has. A replica that
//!   applies in parallel can have a stored place without the chunk before it, for a moment or for good;
//! - it applies nothing of another server any more, which could write to the shadow behind our back.
//!
//! The stream is then asked for by the set, on the new server, whose binlog has the old one's transactions or
//! says that it has not. MariaDB's GTIDs say only the newest transaction of each domain, not which ones are
//! there, so nothing is proved by them, and the run is refused on another server.

use mysql_async::Row;

use super::binlog::gtid::GtidSet;
use super::binlog::position::Spot;
use super::connect::Address;
use super::session::Session;
use crate::error::{Error, Kind, Result};

/// The one server of the list that can be written to.
pub async fn choose(list: &[Address]) -> Result<Address> {
    if let [only] = list {
        return Ok(only.clone());
    }
    let mut writable: Vec<(String, Address)> = Vec::new();
    let mut others = Vec::new();
    for address in list {
        let at = address.describe();
        match look(address).await {
            Ok((identity, false)) if writable.iter().any(|(known, _)| *known == identity) => {}
            Ok((identity, false)) => writable.push((identity, address.clone())),
            Ok((_, true)) => others.push(format!("{at} is read-only")),
            Err(error) if error.kind() == Kind::Transient => {
                tracing::warn!(server = %at, %error, "a server of the list does not answer");
                others.push(format!("{at} does not answer"));
            }
            Err(error) => return Err(error.context(&at)),
        }
    }
    match writable.as_slice() {
        [(_, one)] => Ok(one.clone()),
        [] => Err(Error::stopped(format!("No server of the list can be written to: {}.", others.join(", ")))
            .table("Nothing was changed.")
            .todo("Run the same command again when one of them is the primary.")),
        many => {
            let names: Vec<String> = many.iter().map(|(_, address)| address.describe()).collect();
            Err(Error::refused(format!("More than one server of the list can be written to: {}.", names.join(", ")))
                .table("Nothing was changed.")
                .todo("Name the primary alone, or set read_only on the others."))
        }
    }
}

/// Who a server is, and whether it is read-only.
async fn look(address: &Address) -> Result<(String, bool)> {
    let mut session = Session::open(address).await?;
    let identity = session.identity().await?;
    let (_, value): (String, String) =
        session.first("SHOW GLOBAL VARIABLES LIKE 'read_only'").await?.unwrap_or_default();
    // MariaDB 12 has more words for it than ON.
    Ok((identity, !matches!(value.to_ascii_uppercase().as_str(), "OFF" | "0" | "")))
}

/// Refuses to go on from a place that another server's stream had, unless it's proved that nothing is missing.
pub async fn prove(session: &mut Session, from: &Spot, server: &str) -> Result<()> {
    if from.server == server {
        return Ok(());
    }
    let lost = |why: &str| {
        Err(Error::definite(format!("Another server answers now ({server} instead of {}), and {why}.", from.server))
            .table("The table was not swapped and is as the application left it.")
            .todo("Remove the run with `osc cleanup` on this server, then run the command again: it begins anew."))
    };
    let Some(stored) = &from.gtid else {
        return lost("without GTIDs its history can't be compared with the old one's");
    };
    let executed: Option<String> = session.first("SELECT @@GLOBAL.gtid_executed").await?;
    let Some(executed) = executed.as_deref().and_then(GtidSet::parse) else {
        return lost("its set of GTIDs can't be read (tagged ones are not supported)");
    };
    let has: Option<u8> = session.first(&format!("SELECT GTID_SUBSET('{stored}', @@GLOBAL.gtid_executed)")).await?;
    if has != Some(1) {
        return lost("it lacks transactions that the old one had");
    }
    if !executed.follows(stored) {
        return lost("there are gaps in what it has of the old one's transactions");
    }
    if applies(session).await? {
        return lost("it still applies changes of another server");
    }
    tracing::info!(server, from = %from.server, "going on on another server, which has all that was stored");
    Ok(())
}

/// Whether changes of another server are being applied, or fetched to be.
async fn applies(session: &mut Session) -> Result<bool> {
    let sql = if session.flavor.version >= (8, 0, 22) { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
    let text = |row: &Row, names: [&str; 2]| {
        names.iter().find_map(|name| row.get_opt::<String, _>(*name).and_then(|v| v.ok())).unwrap_or_default()
    };
    let rows = session.rows(sql).await?;
    Ok(rows.iter().any(|row| {
        let io = text(row, ["Replica_IO_Running", "Slave_IO_Running"]);
        let applier = text(row, ["Replica_SQL_Running", "Slave_SQL_Running"]);
        io != "No" || applier != "No"
    }))
}

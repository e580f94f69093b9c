//! What a migration must not survive (I6): the table is emptied, a row that does not fit, a true duplicate.

use std::rc::Rc;
use std::time::Duration;

use super::binlog::What;
use super::dice::{Dice, Span, sleep_ms};
use super::locks::{LockId, Mode};
use super::plan::Disturbance;
use super::server::Server;
use super::session::Failure;
use super::table::{Name, Row, TableId};
use super::transaction::{Origin, Tx};
use crate::error::{Error, Kind};

/// Does what the plan asks for, some time during the run.
pub fn begin(server: &Rc<Server>, dice: &Dice) {
    let Some(disturbance) = server.plan.disturbance else { return };
    let (server, dice) = (server.clone(), dice.clone());
    tokio::task::spawn_local(async move {
        sleep_ms(dice.skewed(Span(1, 500))).await;
        match disturbance {
            Disturbance::Truncate => truncate(&server).await,
            Disturbance::Unfit | Disturbance::Duplicate => {
                // Others may be in the way.
                while spoil(&server, &dice, disturbance).await.is_err() {
                    sleep_ms(10).await;
                }
            }
        }
    });
}

async fn truncate(server: &Server) {
    let holder = server.next_holder();
    let name = LockId::Name(Name::Original);
    if server.locks.acquire(holder, name, Mode::Exclusive, Duration::from_secs(60)).await.is_err() {
        return;
    }
    let Some(table) = server.catalog.borrow().named(Name::Original) else { return };
    server.binlog.append(What::Truncate);
    server.catalog.borrow_mut().truncate(table);
    server.ledger.borrow_mut().truncated();
    server.trace.say(|| "the table is truncated".to_owned());
    server.locks.release(holder, name);
}

/// A row that the new definition refuses; only while the table has the old one.
async fn spoil(server: &Rc<Server>, dice: &Dice, disturbance: Disturbance) -> Result<(), Failure> {
    let mut tx = Tx::begin(server, Origin::Application);
    let table = tx.open(Name::Original).await?;
    if table != TableId(0) {
        return Ok(());
    }
    let id = dice.below(u64::from(server.plan.room)) as u32;
    let mut row = Row { value: server.next_value(), unique: 0, spelling: 0, unfit: false };
    match disturbance {
        Disturbance::Duplicate => {
            let catalog = server.catalog.borrow();
            let other = catalog.table(table).rows.iter().find(|(other, row)| **other != id && row.unique != 0);
            row.unique = other.map_or(0, |(_, row)| row.unique);
        }
        _ => row.unfit = true,
    }
    tx.put(table, id, Some(row)).await?;
    tx.commit().await;
    server.trace.say(|| format!("row {id} was spoilt: {row:?}"));
    Ok(())
}

/// Whether a run that ended for good did so for a reason that the plan gave it.
pub fn explains(server: &Server, error: &Error) -> bool {
    error.kind() == Kind::Definite && server.plan.disturbance.is_some()
}

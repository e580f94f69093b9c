//! Telling a true duplicate from a unique value that is moving between rows.
//!
//! As in `engine::mysql::conflict`: the rows of the shadow that hold a value of the rows to sync under
//! another key are candidates; both are read again from one snapshot of the source. A value that stands
//! there twice is a true duplicate. Otherwise the candidates are stale, and `sync` removes those that
//! still are in the transaction that syncs the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::keys::Set;
use super::server::Server;
use super::session::{Failure, Line};
use super::sync::snapshot;
use super::table::Name;
use super::transaction::{Origin, Tx};

/// The candidates of these rows.
pub async fn examine(server: Rc<Server>, line: Rc<Line>, set: Set) -> Result<Vec<u32>, Failure> {
    let mut tx = Tx::begin(&server, Origin::Osc);
    let source = tx.open(Name::Original).await?;
    let shadow = tx.open(Name::Shadow).await?;
    let rows = snapshot(&server, source, &set);
    server.dice.pause(server.plan.read).await;
    line.step().await?;
    let candidates: BTreeSet<u32> = {
        let catalog = server.catalog.borrow();
        let table = catalog.table(shadow);
        rows.iter()
            .filter(|(_, row)| row.unique != 0)
            .filter_map(|(id, row)| table.holder(row.unique).filter(|holder| holder != id))
            .collect()
    };
    line.step().await?;
    let others = Set::Ids(candidates.iter().copied().filter(|id| !set.contains(*id)).collect());
    let mut holders: BTreeMap<u32, u32> = BTreeMap::new();
    for (id, row) in snapshot(&server, source, &set).into_iter().chain(snapshot(&server, source, &others)) {
        if row.unique != 0 && holders.insert(row.unique, id).is_some() {
            return Err(Failure::TrueDuplicate(row.unique));
        }
    }
    line.step().await?;
    Ok(candidates.into_iter().collect())
}

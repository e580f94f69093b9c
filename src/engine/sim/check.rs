//! What must hold: at every stored checkpoint, and at the end.

use std::fmt::Write;

use super::binlog::{Image, Place, What};
use super::keys::decode;
use super::ledger::{Difference, differences};
use super::server::Server;
use super::table::Name;
use crate::model::Key;

/// More differing rows than this are not listed.
const SHOWN: usize = 6;

impl Server {
    /// The stored place is never ahead of the data: every copied row in which the shadow is not the
    /// source, now or once all that is logged is visible, has a change in the stream from the stored
    /// place on. Asked whenever a checkpoint is stored and when a life begins.
    pub fn check_place(&self) {
        let Some(checkpoint) = self.store.borrow().folded() else { return };
        let Ok(place) = Place::parse(&checkpoint.position) else {
            return self.violated(format!("stored: {:?} is no place", checkpoint.position));
        };
        let reach = match (&checkpoint.frontier, checkpoint.copied) {
            (_, true) => u32::MAX,
            (Some(key), _) => match decode(self.plan.order, key) {
                Ok(id) => id,
                Err(error) => return self.violated(error.to_string()),
            },
            (None, false) => return,
        };
        let catalog = self.catalog.borrow();
        let (Some(source), Some(shadow)) = (catalog.named(Name::Original), catalog.named(Name::Shadow)) else { return };
        let differing: Vec<u32> = differences(&catalog.table(shadow).rows, &catalog.table(source).rows)
            .into_iter()
            .map(|d| d.id)
            .chain(self.invisible_before(place))
            .filter(|id| *id <= reach)
            .collect();
        let Some(last) = differing.iter().max() else { return };
        let ahead = self.seen_from(place, *last);
        if let Some(id) = differing.iter().find(|id| !ahead[**id as usize]) {
            self.violated(format!(
                "the stored place {place:?} is ahead of the data: row {id} differs and would not be met again"
            ));
        }
    }

    /// A life that begins now would copy at most one committed chunk a lane again.
    pub fn check_copied_twice(&self) {
        let store = self.store.borrow();
        let Some(checkpoint) = store.folded() else { return };
        let number = |key: &Key| decode(self.plan.order, key).ok();
        let frontier = checkpoint.frontier.as_ref().and_then(number);
        let again = store
            .committed
            .iter()
            .filter(|range| !checkpoint.copied && range.upto.as_ref().is_none_or(|upto| number(upto) > frontier));
        let (again, lanes) = (again.count(), usize::from(self.plan.settings.copiers));
        self.count(|c| c.copied_twice += again as u64);
        if again > lanes {
            self.violated(format!("{again} committed chunks would be copied again, with {lanes} lanes"));
        }
    }

    /// Which rows, up to one, the stream shows from a place on.
    fn seen_from(&self, place: Place, last: u32) -> Vec<bool> {
        let mut rows = vec![false; last as usize + 1];
        self.binlog.scan(place.boundary(), |_, what| match what {
            What::Rows(images) | What::Prepare { rows: images, .. } => {
                for image in images.iter().filter(|i| i.id <= last) {
                    rows[image.id as usize] = true;
                }
            }
            What::Truncate => rows.fill(true),
            What::End { .. } | What::Mark { .. } => {}
        });
        rows
    }

    /// Rows of commits that stand before a place and are not visible yet.
    fn invisible_before(&self, place: Place) -> Vec<u32> {
        let entries = self.committing.borrow();
        let before = entries.iter().map(|c| c.entry).filter(|e| *e < place.boundary());
        let images = before.filter_map(|entry| {
            self.binlog.with(entry, |what| if let What::Rows(images) = what { images.clone() } else { Vec::new() })
        });
        images.flatten().map(|image: Image| image.id).collect()
    }

    /// The table that has the name is what the application was told.
    pub fn check_end(&self, swapped: bool) -> Result<(), String> {
        if let Some(violation) = self.violation() {
            return Err(violation);
        }
        let (catalog, ledger) = (self.catalog.borrow(), self.ledger.borrow());
        let broken = ledger.broken_promises();
        if broken > 0 {
            return Err(format!("{broken} acknowledged transactions were never visible"));
        }
        let named = |name| catalog.named(name).map(|id| (id, catalog.table(id)));
        let Some((id, table)) = named(Name::Original) else { return Err("the table is gone".into()) };
        if (id.0 != 0) != swapped {
            return Err(format!("swapped is {swapped}, but the name leads to table {}", id.0));
        }
        if table.unbuilt > 0 {
            return Err(format!("{} indexes of the table were not built", table.unbuilt));
        }
        let wrong = differences(&table.rows, ledger.truth());
        if !wrong.is_empty() {
            return Err(format!("the table is not what was acknowledged: {}", self.describe(&wrong)));
        }
        if let (Some((_, old)), Some(truth)) = (named(Name::Old), ledger.truth_at_swap()) {
            let wrong = differences(&old.rows, truth);
            if !wrong.is_empty() {
                return Err(format!("the old table changed after the swap: {}", self.describe(&wrong)));
            }
        }
        Ok(())
    }

    fn describe(&self, wrong: &[Difference]) -> String {
        let mut text = format!("{} rows.", wrong.len());
        for Difference { id, is, should_be } in wrong.iter().take(SHOWN) {
            let mut entries = Vec::new();
            self.binlog.scan(0, |at, what| {
                let (What::Rows(images) | What::Prepare { rows: images, .. }) = what else { return };
                if images.iter().any(|i| i.id == *id) {
                    entries.push(at);
                }
            });
            let shown = |row: &Option<super::table::Row>| {
                row.map_or("no row".into(), |r| format!("value {} unique {}", r.value, r.unique))
            };
            let _ = write!(text, " Row {id}: {}, should be {}; in entries {entries:?}.", shown(is), shown(should_be));
        }
        text
    }
}

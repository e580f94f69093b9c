//! Binlog events into keys, marks and boundaries between transactions.
//!
//! Only rows of our table and of the mark table are looked into; of all other tables not a byte
//! behind the name is read. Rows go out as they come, without waiting for the end of their
//! transaction, except those of an XA transaction, which wait for its XA COMMIT. What can't be
//! followed with certainty is an error that names it, never skipped: the types of event that may be
//! passed over are listed, all others stop the run.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::Value;
use mysql_async::binlog::events::{Event, TransactionPayloadEvent};
use mysql_async::binlog::value::BinlogValue;

use super::binlog::Item;
use super::binlog::outbox::Outbox;
use super::binlog::position::{Spot, Track};
use super::binlog::query::{OurName, Statement, Verdict, judge};
use super::binlog::rows::{Image, Rows, TableMap, field};
use super::binlog::value::{Bytes, Column};
use super::binlog::xa::{Prepared, Xid};
use super::sql::Table;
use crate::engine::disturbed;
use crate::error::Result;
use crate::model::{Key, Token};

/// Encodes the key of a row from the values in the binlog.
///
/// Values come raw: integers as `Int`, signed whatever the column is (the catalog knows better);
/// ENUM as `Int`; SET as little-endian and BIT as big-endian `Bytes`; strings as `Bytes` in the
/// column's own character set, CHAR without its trailing spaces and BINARY without its trailing
/// zeros; DECIMAL and YEAR as text; DATE and DATETIME as `Date`, TIME as `Time`; TIMESTAMP as text,
/// the seconds since 1970 with six decimals if they are not zero.
pub trait KeyReader: Send {
    /// The key's columns, as positions in the table from 0, in the key's order.
    fn columns(&self) -> &[usize];

    /// The key from the values of those columns.
    fn encode(&self, values: &[&BinlogValue<'_>]) -> Result<Key>;

    /// How many columns the catalog shows; if there are others in the binlog, the table was altered.
    fn table_columns(&self) -> usize;
}

/// What the decoder looks for.
pub struct Watch {
    pub ours: Table,
    pub marks: Table,
    pub reader: Box<dyn KeyReader>,
    pub life: u64,
    /// The server takes `Orders` and `orders` for the same table.
    pub fold_names: bool,
    /// Columns that no catalog shows may stand behind all others, as MariaDB has them for its unique
    /// keys over BLOB and TEXT: a hash, as BIGINT.
    pub hidden_hashes: bool,
}

enum Known {
    Ours(Arc<[Column]>),
    Marks(Arc<[Column]>),
    Other,
}

/// The transaction that is being read.
enum Group {
    None,
    Plain,
    Xa { xid: Xid, keys: Vec<Key>, changes: u64 },
}

/// Which column of the mark table is which.
const MARK_LIFE: usize = 1;
const MARK_TOKEN: usize = 2;

const BIGINT: u8 = 8;

pub struct Decoder {
    watch: Watch,
    name: OurName,
    tables: HashMap<u64, Known>,
    /// Our table's columns as first seen.
    columns: Option<Arc<[Column]>>,
    track: Track,
    group: Group,
    mark: Option<Token>,
    prepared: Prepared,
    /// What was found.
    pub out: Outbox,
}

/// The flags and types that matter here; the names are the servers' own.
const ARTIFICIAL: u16 = 0x20;
const IGNORABLE: u16 = 0x80;
/// Of a MariaDB GTID event: what follows is a single statement; a commit id, an XID are in the event.
const FL_STANDALONE: u8 = 1;
const FL_GROUP_COMMIT_ID: u8 = 2;
const FL_PREPARED_XA: u8 = 64;
const FL_COMPLETED_XA: u8 = 128;

impl Decoder {
    pub fn new(watch: Watch, start: Spot) -> Decoder {
        Decoder {
            name: OurName::new(watch.ours.db.bare(), watch.ours.name.bare()),
            watch,
            tables: HashMap::new(),
            columns: None,
            track: Track::new(start),
            group: Group::None,
            mark: None,
            prepared: Prepared::default(),
            out: Outbox::default(),
        }
    }

    /// From where the stream goes on after a lost connection.
    pub fn boundary(&self) -> &Spot {
        self.track.boundary()
    }

    /// The stream begins anew at the boundary, on this server, which has these transactions prepared: what was read of
    /// a transaction is void.
    pub fn reconnected(&mut self, server: String, prepared: &[Xid]) -> Result<()> {
        self.tables.clear();
        self.track.reconnected(server);
        if let Group::Xa { keys, .. } = std::mem::replace(&mut self.group, Group::None) {
            self.prepared.refund(&keys);
        }
        self.mark = None;
        for (xid, keys) in self.prepared.reconnected(prepared)? {
            self.ended(xid, keys, 0);
        }
        Ok(())
    }

    /// Takes in one event. Events inside of a compressed transaction come one by one after it.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        let header = event.header();
        let (kind, flags, data) = (header.event_type_raw(), header.flags_raw(), event.data());
        // Inner events have no place of their own in the file; the one that holds them has counted. Those
        // that stand at the head of a file are sent again when reading begins in the middle of it.
        let inner = !event.footer().get_checksum_enabled();
        if !inner
            && flags & ARTIFICIAL == 0
            && header.log_pos() != 0
            && !matches!(kind, 4 | 15 | 27 | 35 | 41 | 163 | 164)
        {
            self.track.advance(header.log_pos(), header.event_size());
        }
        match kind {
            2 => self.query(data)?,
            4 => self.rotate(event, data)?,
            16 => self.commit(),
            19 => self.table_map(data)?,
            23..=25 | 30..=32 | 39 => self.rows(kind, data)?,
            33 => self.mysql_gtid(data)?,
            // Anonymous, or tagged: the set can't say where we are any more.
            34 | 42 => self.track.begin(None),
            38 => self.xa_prepare(data)?,
            40 => self.payload(event)?,
            162 => self.mariadb_gtid(data)?,
            5 | 13 | 14 | 17 | 18 => {
                return Err(disturbed("A session writes in STATEMENT format; its rows are not in the binlog.")
                    .todo(STATEMENT_TODO));
            }
            26 => {
                return Err(disturbed("The server reports an incident: changes may be missing from its binlog."));
            }
            165..=171 => {
                return Err(disturbed(format!(
                    "The binlog holds compressed events (type {kind}): the server runs with log_bin_compress=ON."
                ))
                .todo("SET GLOBAL log_bin_compress = OFF, then start again."));
            }
            // Stop, format, heartbeats, annotations, lists of GTIDs, group replication, checkpoints, encryption.
            3 | 15 | 27..=29 | 35..=37 | 41 | 160 | 161 | 163 | 164 => {}
            _ if flags & IGNORABLE != 0 => {}
            _ => return Err(disturbed(format!("The binlog holds an event of type {kind}, which osc does not know."))),
        }
        Ok(())
    }

    fn rotate(&mut self, event: &Event, data: &[u8]) -> Result<()> {
        let mut b = Bytes(data);
        let pos = b.uint(8)?;
        // The first one comes before the stream said whether it has checksums. A CRC over data and
        // its own CRC is a constant: so it shows whether the last four bytes are one.
        let crc = event.calc_checksum(mysql_async::binlog::BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        let name = match b.0.len().checked_sub(4) {
            Some(end) if crc == 0x2144_df1c => b.take(end)?,
            _ => b.0,
        };
        self.track.rotate(&String::from_utf8_lossy(name), pos);
        if event.header().flags_raw() & ARTIFICIAL == 0 && event.header().log_pos() != 0 {
            self.tables.clear();
        }
        Ok(())
    }

    fn query(&mut self, data: &[u8]) -> Result<()> {
        let mut b = Bytes(data);
        b.take(8)?;
        let schema_len = b.uint(1)? as usize;
        b.take(2)?;
        let n = b.uint(2)? as usize;
        let sql_mode = sql_mode(Bytes(b.take(n)?));
        let schema = b.take(schema_len)?;
        b.take(1)?;
        match judge(Statement { text: b.0, schema, sql_mode }, &self.name) {
            Verdict::Begin => self.group = Group::Plain,
            Verdict::Commit => self.commit(),
            Verdict::Rollback => {
                self.mark = None;
                self.commit();
            }
            Verdict::Inside => {}
            Verdict::Harmless => {
                // CREATE TABLE … SELECT has its statement and its rows in one transaction.
                if matches!(self.group, Group::None) {
                    self.commit();
                }
            }
            Verdict::XaStart(xid) => self.xa_start(xid),
            Verdict::XaCommit(xid) => {
                if let Some((keys, changes)) = self.prepared.commit(&xid)? {
                    self.ended(xid, keys, changes);
                }
                self.commit();
            }
            Verdict::XaRollback(xid) => {
                if let Some((keys, changes)) = self.prepared.rollback(&xid)? {
                    self.ended(xid, keys, changes);
                }
                self.commit();
            }
            Verdict::Disturbance(what) => {
                let at = self.track.boundary().describe();
                let error = disturbed(format!("The binlog holds {what}")).caused_by(format!("after {at}"));
                return Err(if what.contains("STATEMENT format") { error.todo(STATEMENT_TODO) } else { error });
            }
        }
        Ok(())
    }

    /// The keys of a prepared transaction, to be read when the server has carried out its end.
    fn ended(&mut self, xid: Xid, keys: Vec<Key>, changes: u64) {
        self.out.put(Item::XaEnd(xid));
        self.out.extend(keys, changes);
    }

    fn xa_start(&mut self, xid: Xid) {
        self.group = Group::Xa { xid, keys: Vec::new(), changes: 0 };
    }

    /// The transaction ends here, committed: a boundary.
    fn commit(&mut self) {
        if let Group::Xa { keys, changes, .. } = std::mem::replace(&mut self.group, Group::None) {
            // Committed in one phase.
            self.prepared.refund(&keys);
            self.out.extend(keys, changes);
        }
        self.track.commit();
        self.tables.clear();
        if let Some(token) = self.mark.take() {
            let from = self.prepared.oldest().unwrap_or_else(|| self.track.boundary()).clone();
            self.out.put(Item::Mark { token, from, prepared: self.prepared.count() });
        }
    }

    fn xa_prepare(&mut self, data: &[u8]) -> Result<()> {
        let one_phase = Bytes(data).uint(1)? != 0;
        let before = self.track.boundary().clone();
        if !one_phase && let Group::Xa { xid, keys, changes } = std::mem::replace(&mut self.group, Group::None) {
            self.prepared.add(xid, keys, changes, before);
        }
        self.commit();
        Ok(())
    }

    fn mysql_gtid(&mut self, data: &[u8]) -> Result<()> {
        let mut b = Bytes(data);
        b.take(1)?;
        let mut uuid = [0; 16];
        uuid.copy_from_slice(b.take(16)?);
        self.track.begin(Some((uuid, b.uint(8)?)));
        Ok(())
    }

    /// On MariaDB this event is the BEGIN, or the XA START, as well.
    fn mariadb_gtid(&mut self, data: &[u8]) -> Result<()> {
        let mut b = Bytes(data);
        b.take(12)?;
        let flags = b.uint(1)? as u8;
        if flags & FL_GROUP_COMMIT_ID != 0 {
            b.take(8)?;
        }
        if flags & FL_PREPARED_XA != 0 {
            let format = b.uint(4)? as u32;
            let (gtrid, bqual) = (b.uint(1)? as usize, b.uint(1)? as usize);
            self.xa_start(Xid { format, gtrid: b.take(gtrid)?.to_vec(), bqual: b.take(bqual)?.to_vec() });
        } else if flags & (FL_STANDALONE | FL_COMPLETED_XA) == 0 {
            self.group = Group::Plain;
        } else {
            self.group = Group::None;
        }
        Ok(())
    }

    /// The driver unpacks the transaction, and says nothing when it can't: so it is done once more,
    /// without keeping it, to see that all of it is there.
    fn payload(&mut self, event: &Event) -> Result<()> {
        let unreadable = |why: String| disturbed(format!("A compressed transaction can't be read: {why}."));
        let payload: TransactionPayloadEvent<'_> = event.read_event().map_err(|e| unreadable(e.to_string()))?;
        let mut reader = payload.decompressed().map_err(|e| unreadable(e.to_string()))?;
        let size = std::io::copy(&mut reader, &mut std::io::sink()).map_err(|e| unreadable(e.to_string()))?;
        if size == 0 || (payload.uncompressed_size() != 0 && size != payload.uncompressed_size()) {
            return Err(unreadable(format!("{size} bytes of {} are there", payload.uncompressed_size())));
        }
        Ok(())
    }

    fn table_map(&mut self, data: &[u8]) -> Result<()> {
        let map = TableMap::parse(data)?;
        let known = if self.same(&map, &self.watch.ours) {
            let columns: Arc<[Column]> = map.columns()?.into();
            let expected = self.watch.reader.table_columns();
            let more = columns.get(expected..).filter(|more| more.is_empty() || self.watch.hidden_hashes);
            if !more.is_some_and(|more| more.iter().all(|c| c.kind == BIGINT))
                || self.columns.as_ref().is_some_and(|first| *first != columns)
            {
                return Err(disturbed(format!(
                    "The columns of {} are no longer the ones that osc began with (the binlog has {}, expected {expected}).",
                    self.watch.ours.bare(),
                    columns.len()
                )));
            }
            self.columns = Some(columns.clone());
            Known::Ours(columns)
        } else if self.same(&map, &self.watch.marks) {
            Known::Marks(map.columns()?.into())
        } else {
            Known::Other
        };
        self.tables.insert(map.id, known);
        Ok(())
    }

    fn same(&self, map: &TableMap<'_>, table: &Table) -> bool {
        let same = |raw: &[u8], name: &str| {
            raw == name.as_bytes()
                || (self.watch.fold_names && String::from_utf8_lossy(raw).to_lowercase() == name.to_lowercase())
        };
        same(map.table, table.name.bare()) && same(map.db, table.db.bare())
    }

    fn rows(&mut self, kind: u8, data: &[u8]) -> Result<()> {
        let mut b = Bytes(data);
        let id = b.uint(6)?;
        let (columns, ours) = match self.tables.get(&id) {
            Some(Known::Other) => return Ok(()),
            Some(Known::Ours(columns)) => (columns.clone(), true),
            Some(Known::Marks(columns)) => (columns.clone(), false),
            // Only says that a statement ends.
            None if id == 0xff_ffff => return Ok(()),
            None => return Err(disturbed(format!("The binlog holds rows of an unknown table (number {id})."))),
        };
        let mut rows = Rows::parse(kind, b, &columns)?;
        while let Some((old, new)) = rows.next_row()? {
            if ours {
                self.change(&columns, old.as_ref(), new.as_ref())?;
            } else if let Some(new) = &new {
                self.marked(&columns, old.as_ref(), new)?;
            }
        }
        Ok(())
    }

    /// One changed row of our table: its key before and its key after.
    fn change(&mut self, columns: &[Column], old: Option<&Image<'_>>, new: Option<&Image<'_>>) -> Result<()> {
        let xa = matches!(self.group, Group::Xa { .. });
        if let Group::Xa { changes, .. } = &mut self.group {
            *changes += 1;
        } else {
            self.out.count(1);
        }
        let old_key = old.map(|image| self.key(columns, &[image])).transpose()?;
        let new_key = match (new, old) {
            // A column that an UPDATE did not touch may be missing in the image after it.
            (Some(new), Some(old)) => Some(self.key(columns, &[new, old])?),
            (Some(new), None) => Some(self.key(columns, &[new])?),
            (None, _) => None,
        };
        let unchanged = old_key == new_key;
        for key in old_key.into_iter().chain(new_key.filter(|_| !unchanged)) {
            if xa {
                self.prepared.charge(std::slice::from_ref(&key))?;
                if let Group::Xa { keys, .. } = &mut self.group {
                    keys.push(key);
                }
            } else {
                self.out.push(key);
            }
        }
        Ok(())
    }

    /// The key, each column from the first of the images that has it.
    fn key(&self, columns: &[Column], images: &[&Image<'_>]) -> Result<Key> {
        let mut values = Vec::with_capacity(self.watch.reader.columns().len());
        for &at in self.watch.reader.columns() {
            values.push(field(columns, images, at)?.ok_or_else(|| {
                disturbed(format!(
                    "A row of {} in the binlog comes without its key (column number {}).",
                    self.watch.ours.bare(),
                    at + 1
                ))
                .todo("Set binlog_row_image to FULL or MINIMAL, globally and in the application's sessions.")
            })?);
        }
        self.watch.reader.encode(&values.iter().collect::<Vec<_>>())
    }

    fn marked(&mut self, columns: &[Column], old: Option<&Image<'_>>, new: &Image<'_>) -> Result<()> {
        let images: Vec<&Image<'_>> = std::iter::once(new).chain(old).collect();
        let number = |at| match field(columns, &images, at)? {
            Some(BinlogValue::Value(Value::Int(n))) => Ok(n as u64),
            _ => Err(disturbed(format!("A mark in {} can't be read.", self.watch.marks.bare()))),
        };
        if number(MARK_LIFE)? == self.watch.life {
            self.mark = Some(Token(number(MARK_TOKEN)?));
        }
        Ok(())
    }
}

const STATEMENT_TODO: &str = "Set binlog_format = ROW globally and let the sessions that were open before reconnect.";

/// The sql_mode of a statement. It is among the first two of its status variables, which all servers
/// write in the order of their numbers.
fn sql_mode(mut b: Bytes<'_>) -> u64 {
    loop {
        match b.uint(1) {
            Ok(0) if b.take(4).is_ok() => {}
            Ok(1) => return b.uint(8).unwrap_or(0),
            _ => return 0,
        }
    }
}

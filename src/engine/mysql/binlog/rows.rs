//! The binary form of TABLE_MAP and row events, as far as keys need it.

use mysql_async::Value;
use mysql_async::binlog::value::BinlogValue;

use super::value::{Bytes, Column};
use crate::engine::disturbed;
use crate::error::Result;

/// A table as the binlog describes it.
#[derive(Debug)]
pub struct TableMap<'a> {
    pub id: u64,
    pub db: &'a [u8],
    pub table: &'a [u8],
    rest: Bytes<'a>,
}

impl<'a> TableMap<'a> {
    pub fn parse(data: &'a [u8]) -> Result<TableMap<'a>> {
        let mut b = Bytes(data);
        let id = b.uint(6)?;
        b.take(2)?;
        Ok(TableMap { id, db: b.name()?, table: b.name()?, rest: b })
    }

    pub fn columns(&self) -> Result<Vec<Column>> {
        let mut b = self.rest;
        let count = b.length()?;
        let kinds = b.take(count)?;
        let n = b.length()?;
        let mut meta = Bytes(b.take(n)?);
        kinds
            .iter()
            .map(|&kind| {
                let meta = match kind {
                    // FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2, VECTOR, JSON, the BLOBs, GEOMETRY; MariaDB's compressed BLOB.
                    4 | 5 | 17 | 18 | 19 | 140 | 242 | 245 | 249..=252 | 255 => meta.uint(1)?,
                    // VARCHAR, BIT, DECIMAL, ENUM, SET, VAR_STRING, STRING; MariaDB's compressed VARCHAR.
                    15 | 16 | 141 | 246 | 247 | 248 | 253 | 254 => meta.uint(2)?,
                    // A multi-valued index has its type and that type's metadata; it holds no values of rows.
                    20 => match meta.uint(1)? {
                        15 => meta.uint(3)?,
                        246 => meta.uint(2)?,
                        17..=19 => meta.uint(1)?,
                        _ => 0,
                    },
                    _ => 0,
                };
                Ok(Column { kind, meta: meta as u16 })
            })
            .collect()
    }
}

/// The rows of an event.
pub struct Rows<'a> {
    b: Bytes<'a>,
    columns: &'a [Column],
    /// Which columns are in the image before, and in the one after; none without such an image.
    before: Option<&'a [u8]>,
    after: Option<&'a [u8]>,
    /// JSON values may come as differences: how many JSON columns there are.
    partial: Option<usize>,
}

impl<'a> Rows<'a> {
    /// `b` stands behind the number of the table.
    pub fn parse(kind: u8, mut b: Bytes<'a>, columns: &'a [Column]) -> Result<Rows<'a>> {
        b.take(2)?;
        // The second version of these events, which MySQL writes, has room for more at its head.
        if kind >= 30 {
            let extra = b.uint(2)? as usize;
            b.take(extra.saturating_sub(2))?;
        }
        let count = b.length()?;
        if count != columns.len() {
            return Err(disturbed(format!("A row in the binlog has {count} columns, its table {}.", columns.len())));
        }
        let (before, after) = match kind {
            23 | 30 => (false, true),
            25 | 32 => (true, false),
            _ => (true, true),
        };
        let mut present = |there: bool| there.then(|| b.take(count.div_ceil(8))).transpose();
        let (before, after) = (present(before)?, present(after)?);
        let partial = (kind == 39).then(|| columns.iter().filter(|c| c.kind == 245).count());
        Ok(Rows { b, columns, before, after, partial })
    }

    /// The images before and after the next change.
    #[allow(clippy::type_complexity)]
    pub fn next_row(&mut self) -> Result<Option<(Option<Image<'a>>, Option<Image<'a>>)>> {
        if self.b.0.is_empty() {
            return Ok(None);
        }
        let old = self.before.map(|present| Image::read(&mut self.b, self.columns, present)).transpose()?;
        if let Some(json) = self.partial
            && self.b.length()? & 1 != 0
        {
            // Which JSON values are differences. They have their length in front all the same.
            self.b.take(json.div_ceil(8))?;
        }
        let new = self.after.map(|present| Image::read(&mut self.b, self.columns, present)).transpose()?;
        Ok(Some((old, new)))
    }
}

/// One image of a row: the bytes of each column that it has.
pub struct Image<'a> {
    values: Vec<Presence<'a>>,
}

#[derive(Clone, Copy)]
enum Presence<'a> {
    Missing,
    Null,
    Here(&'a [u8]),
}

impl<'a> Image<'a> {
    pub fn read(b: &mut Bytes<'a>, columns: &[Column], present: &[u8]) -> Result<Image<'a>> {
        let bit = |bits: &[u8], n: usize| bits.get(n / 8).is_some_and(|byte| byte >> (n % 8) & 1 != 0);
        let used = (0..columns.len()).filter(|n| bit(present, *n)).count();
        let nulls = b.take(used.div_ceil(8))?;
        let mut nth = 0;
        let mut values = Vec::with_capacity(columns.len());
        for (n, column) in columns.iter().enumerate() {
            values.push(if !bit(present, n) {
                Presence::Missing
            } else {
                nth += 1;
                if bit(nulls, nth - 1) { Presence::Null } else { Presence::Here(column.value(b)?) }
            });
        }
        Ok(Image { values })
    }
}

/// The value of a column, from the first of the images that has it.
pub fn field(columns: &[Column], images: &[&Image<'_>], at: usize) -> Result<Option<BinlogValue<'static>>> {
    for image in images {
        match (image.values.get(at), columns.get(at)) {
            (Some(Presence::Here(bytes)), Some(column)) => {
                return column.decode(bytes).map(|v| Some(BinlogValue::Value(v)));
            }
            (Some(Presence::Null), _) => return Ok(Some(BinlogValue::Value(Value::NULL))),
            _ => {}
        }
    }
    Ok(None)
}

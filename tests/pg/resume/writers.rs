//! Writers that remember what the server acknowledged, row by row, and say at the end whether the table has it.
//!
//! Each writer owns the rows of its remainder, so for each of them there is one truth: the last acknowledged write. A
//! statement whose answer never came may have been done or not; both are right until the next one of that row.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use crate::harness::rows;

const WRITERS: i32 = 3;

/// A row's values as they must be: none when it must not be there.
type Value = Option<(String, i64)>;
/// The values that a row may have.
type Book = BTreeMap<i32, Vec<Value>>;

/// The application.
pub struct Writers {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Book>>,
}

/// `CREATE TABLE … (id, code, amount)` with so many rows; `code` is unique, and moves between rows; two other indexes.
pub fn table(name: &str, rows: u64) -> [String; 2] {
    [
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, code text NOT NULL UNIQUE, amount bigint NOT NULL, note text); \
             CREATE INDEX {name}_amount ON {name} (amount); CREATE INDEX {name}_long ON {name} (id) WHERE amount > 10"
        ),
        format!("INSERT INTO {name} SELECT g, 'c' || g, g, repeat('n', 60) FROM generate_series(1, {rows}) g"),
    ]
}

impl Writers {
    pub async fn start(url: &str, table: &str, rows: i32) -> Writers {
        let (stop, done, lost) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let book = (1..=rows).filter(|id| id % WRITERS == writer);
            let book = book.map(|id| (id, vec![Some((format!("c{id}"), i64::from(id)))])).collect();
            let writer = Writer {
                url: url.to_owned(),
                table: table.to_owned(),
                book,
                rng: StdRng::seed_from_u64(writer as u64),
                next: rows + 1 + writer,
                stop: stop.clone(),
                done: done.clone(),
                lost: lost.clone(),
            };
            tasks.push(tokio::spawn(writer.work()));
        }
        Writers { stop, done, lost, tasks }
    }

    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Statements whose answer never came.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits for so many more acknowledged writes.
    pub async fn work(&self, more: u64) {
        let from = self.done();
        crate::harness::wait_for("writes of the application", async || self.done() >= from + more).await;
    }

    /// Stops, and compares the table with what was acknowledged.
    pub async fn verdict(self, client: &Client, table: &str) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut book = Book::new();
        for task in self.tasks {
            book.extend(task.await.expect("no write failed"));
        }
        let mut there: BTreeMap<i32, (String, i64)> = BTreeMap::new();
        for row in rows(client, &format!("SELECT id, code, amount FROM {table}")).await {
            let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
            let (id, amount) = (cell(0).parse().expect("an id"), cell(2).parse().expect("an amount"));
            assert!(there.insert(id, (cell(1), amount)).is_none(), "the row {id} is there twice");
        }
        let mut wrong = Vec::new();
        for (id, may) in &book {
            let is = there.remove(id);
            if !may.contains(&is) {
                wrong.push(format!("{id}: is {is:?}, may be {may:?}"));
            }
        }
        wrong.extend(there.iter().map(|(id, row)| format!("{id}: is {row:?}, was never written")));
        assert!(wrong.is_empty(), "{} rows are wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        self.done.load(Ordering::Relaxed)
    }
}

struct Writer {
    url: String,
    table: String,
    book: Book,
    rng: StdRng,
    next: i32,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    async fn work(mut self) -> Book {
        let mut client = None;
        while !self.stop.load(Ordering::Relaxed) {
            let connected = match client.take() {
                Some(connected) => connected,
                None => match tokio_postgres::connect(&self.url, NoTls).await {
                    Ok((connected, connection)) => {
                        tokio::spawn(connection);
                        connected
                    }
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let (sql, outcome) = self.pick();
            match connected.batch_execute(&sql).await {
                Ok(()) => {
                    self.book.extend(outcome.into_iter().map(|(id, value)| (id, vec![value])));
                    self.done.fetch_add(1, Ordering::Relaxed);
                    client = Some(connected);
                }
                Err(error) => {
                    let code = error.code().map(|c| c.code().to_owned()).unwrap_or_default();
                    // The server went away; it said no to nothing.
                    assert!(code.is_empty() || code.starts_with("57P"), "{sql}: {error:?}");
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    for (id, value) in outcome {
                        self.book.entry(id).or_insert_with(|| vec![None]).push(value);
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..8))).await;
        }
        self.book
    }

    /// A transaction, and what it leaves behind.
    fn pick(&mut self) -> (String, Vec<(i32, Value)>) {
        let table = self.table.clone();
        let sure: Vec<(i32, (String, i64))> = {
            let from = self.rng.random_range(0..self.next.max(1));
            let sure = |(id, may): (&i32, &Vec<Value>)| match may.as_slice() {
                [Some(value)] => Some((*id, value.clone())),
                _ => None,
            };
            self.book.range(from..).chain(self.book.range(..from)).filter_map(sure).take(2).collect()
        };
        match (self.rng.random_range(0..10), sure.as_slice()) {
            (0..4, [(id, (code, amount)), ..]) => {
                let amount = amount + 1;
                let sql = format!("UPDATE {table} SET amount = {amount} WHERE id = {id}");
                (sql, vec![(*id, Some((code.clone(), amount)))])
            }
            // A unique value goes from one row to another, and back the other way.
            (4..6, [(a, (x, n)), (b, (y, m))]) => {
                let sql = format!(
                    "BEGIN; UPDATE {table} SET code = 'moving{a}' WHERE id = {a}; \
                     UPDATE {table} SET code = '{x}' WHERE id = {b}; UPDATE {table} SET code = '{y}' WHERE id = {a}; COMMIT"
                );
                (sql, vec![(*a, Some((y.clone(), *n))), (*b, Some((x.clone(), *m)))])
            }
            (6, [(id, _), ..]) => (format!("DELETE FROM {table} WHERE id = {id}"), vec![(*id, None)]),
            // The key itself changes.
            (7, [(id, (code, amount)), ..]) => {
                let to = self.fresh();
                let sql = format!("UPDATE {table} SET id = {to} WHERE id = {id}");
                (sql, vec![(*id, None), (to, Some((code.clone(), *amount)))])
            }
            _ => {
                let id = self.fresh();
                let sql = format!("INSERT INTO {table} (id, code, amount, note) VALUES ({id}, 'c{id}', {id}, 'new')");
                (sql, vec![(id, Some((format!("c{id}"), i64::from(id))))])
            }
        }
    }

    fn fresh(&mut self) -> i32 {
        let id = self.next;
        self.next += WRITERS;
        id
    }
}

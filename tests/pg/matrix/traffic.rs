//! The application of a case: connections that insert, update (the key too) and delete, with values
//! from the case's lists, until they are told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::case::Case;
use crate::harness::{Database, rows};

/// `#` in a value is a number below this.
pub const SPREAD: u32 = 300;
/// Rows made before the run, besides one for each listed value.
const ROWS: usize = 250;
const CONNECTIONS: u64 = 3;
/// From one statement of a connection to the next.
const PACE: Duration = Duration::from_millis(4);
/// What writers do to each other: duplicate key, exclusion, deadlock.
const GAME: [&str; 3] = ["23505", "23P01", "40P01"];

fn is_game(error: &Error) -> bool {
    error.code().is_some_and(|code| GAME.contains(&code.code()))
}

pub struct Traffic {
    stop: Arc<AtomicBool>,
    changes: Arc<Semaphore>,
    writers: Vec<JoinHandle<()>>,
    trouble: watch::Receiver<String>,
}

/// A column and the values it may get.
struct Column {
    name: &'static str,
    values: Vec<&'static str>,
}

struct Writer {
    app: Client,
    table: String,
    columns: Vec<Column>,
    swaps: &'static str,
    random: SmallRng,
    changes: Arc<Semaphore>,
    trouble: watch::Sender<String>,
    /// A statement of the open transaction was refused: nothing else is heard before its end.
    spoilt: bool,
}

fn columns(case: &Case) -> Vec<Column> {
    let read = |line: &&'static str| {
        let (name, values) = line.split_once(" = ").unwrap_or_else(|| panic!("no values: {line}"));
        Column { name, values: values.split(" | ").collect() }
    };
    case.values.iter().chain(&["v = #"]).map(read).collect()
}

async fn connect(db: &Database) -> Client {
    let app = db.app().await;
    app.batch_execute("SET timezone = 'UTC'").await.expect("the session is set up");
    app
}

/// Fills the table: each value of each column at least once, and some more.
pub async fn fill(db: &Database, case: &Case) {
    let columns = columns(case);
    let mut random = SmallRng::seed_from_u64(1);
    let most = columns.iter().map(|c| c.values.len()).max().unwrap_or(0);
    let app = connect(db).await;
    for at in 0..most + ROWS {
        let value = |c: &Column, random: &mut SmallRng| {
            if !case.swaps.is_empty() {
                return c.values[0].replace('#', &at.to_string());
            }
            if at < most { numbered(c.values[at % c.values.len()], random) } else { pick(c, random) }
        };
        let row = columns.iter().map(|c| value(c, &mut random)).collect::<Vec<_>>().join(", ");
        let (table, names) = (case.quoted(), names(&columns));
        let sql = format!("INSERT INTO {table} ({names}) VALUES ({row})");
        // Not ON CONFLICT: it has no way with a deferrable constraint.
        if let Err(error) = app.batch_execute(&sql).await
            && !is_game(&error)
        {
            panic!("filling {}: {sql}: {error:?}", case.name);
        }
    }
    app.batch_execute(&format!("ANALYZE {}", case.quoted())).await.expect("the table is analyzed");
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
}

/// One of the values; as often one of the plain numbers as one of the others.
fn pick(column: &Column, random: &mut SmallRng) -> String {
    let plain = random.random_bool(0.5);
    let some: Vec<&&str> = column.values.iter().filter(|value| value.contains('#') == plain).collect();
    let value = some.choose(random).map_or(column.values[0], |value| **value);
    numbered(value, random)
}

fn numbered(value: &str, random: &mut SmallRng) -> String {
    value.replace('#', &random.random_range(0..SPREAD).to_string())
}

impl Traffic {
    pub async fn start(db: &Database, case: &'static Case) -> Traffic {
        let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(Semaphore::new(0)));
        let mut writers = Vec::new();
        let (tell, trouble) = watch::channel(String::new());
        for number in 0..CONNECTIONS {
            let mut writer = Writer {
                app: connect(db).await,
                table: case.quoted(),
                columns: columns(case),
                swaps: case.swaps,
                random: SmallRng::seed_from_u64(100 + number),
                changes: changes.clone(),
                trouble: tell.clone(),
                spoilt: false,
            };
            let stop = stop.clone();
            writers.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    writer.turn().await;
                    tokio::time::sleep(PACE).await;
                }
            }));
        }
        Traffic { stop, changes, writers, trouble }
    }

    /// Waits for a statement of the application to fail, and tells which.
    pub async fn trouble(&self) -> String {
        let mut trouble = self.trouble.clone();
        let told = trouble.wait_for(|told| !told.is_empty()).await.map(|told| told.clone());
        match told {
            Ok(told) => told,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until some more rows were changed.
    pub async fn more(&self, changes: u32) {
        self.changes.forget_permits(self.changes.available_permits());
        let more = self.changes.acquire_many(changes);
        let more = tokio::time::timeout(Duration::from_secs(60), more).await;
        more.expect("the traffic changes nothing any more").expect("never closed").forget();
    }

    /// Stops and waits until every statement was answered.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            if let Err(error) = writer.await {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

impl Writer {
    async fn turn(&mut self) {
        let swap = !self.swaps.is_empty() && self.random.random_bool(0.7);
        if swap {
            self.swap().await;
        } else if self.random.random_bool(0.15) {
            self.run("BEGIN").await;
            for _ in 0..3 {
                self.change().await;
            }
            let end = if self.random.random_bool(0.6) { "COMMIT" } else { "ROLLBACK" };
            self.end(end).await;
        } else {
            self.change().await;
            self.spoilt = false;
        }
    }

    async fn change(&mut self) {
        let sql = if self.swaps.is_empty() { self.any_change() } else { self.change_beside_swaps() };
        self.run(&sql).await;
    }

    fn any_change(&mut self) -> String {
        let (table, key) = (&self.table, self.columns[0].name);
        let first = pick(&self.columns[0], &mut self.random).replace("DEFAULT", "#");
        let first = numbered(&first, &mut self.random);
        let some = format!("ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {key} = {first} LIMIT 2))");
        match self.random.random_range(0..10) {
            0..3 => {
                let values = self.columns.iter().map(|c| pick(c, &mut self.random)).collect::<Vec<_>>().join(", ");
                format!("INSERT INTO {table} ({}) VALUES ({values})", names(&self.columns))
            }
            3..8 => {
                let mut sets = Vec::new();
                for column in &self.columns {
                    let value = pick(column, &mut self.random);
                    // DEFAULT is for inserts: the next number.
                    if self.random.random_bool(0.5) && value != "DEFAULT" {
                        sets.push(format!("{} = {value}", column.name));
                    }
                }
                if sets.is_empty() {
                    sets.push("v = v + 1".to_owned());
                }
                format!("UPDATE {table} SET {} WHERE {some}", sets.join(", "))
            }
            _ => format!("DELETE FROM {table} WHERE {some}"),
        }
    }

    /// Rows from 1000 on come and go with values of their own; those that swap stay.
    fn change_beside_swaps(&mut self) -> String {
        let (table, number) = (&self.table, self.random.random_range(1000..1900u32));
        match self.random.random_range(0..3) {
            0 => {
                let value = |c: &Column| c.values[0].replace('#', &number.to_string());
                let values = self.columns.iter().map(value).collect::<Vec<_>>().join(", ");
                format!("INSERT INTO {table} ({}) VALUES ({values})", names(&self.columns))
            }
            1 => format!("UPDATE {table} SET v = v + 1 WHERE id = {}", number % SPREAD),
            _ => format!("DELETE FROM {table} WHERE id = {number}"),
        }
    }

    /// Two rows or three exchange their values, in one transaction: no two committed rows ever have the
    /// same.
    async fn swap(&mut self) {
        let (table, column) = (self.table.clone(), self.swaps);
        let mut ids: Vec<u32> = (0..3).map(|_| self.random.random_range(0..SPREAD)).collect();
        ids.sort();
        ids.dedup();
        self.run("BEGIN").await;
        let list = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let held =
            format!("SELECT id, quote_literal({column}) FROM {table} WHERE id IN ({list}) ORDER BY id FOR UPDATE");
        let held = rows(&self.app, &held).await;
        let held: Vec<(String, String)> = held
            .into_iter()
            .filter_map(|mut row| row.pop().flatten().zip(row.pop().flatten()))
            .map(|(value, id)| (id, value))
            .collect();
        if held.len() > 1 {
            // The values leave before they come: a unique index is checked row by row.
            for (id, _) in &held {
                self.run(&format!("UPDATE {table} SET {column} = '9' || {id} || '000' WHERE id = {id}")).await;
            }
            for (at, (id, _)) in held.iter().enumerate() {
                let (_, value) = &held[(at + 1) % held.len()];
                self.run(&format!("UPDATE {table} SET {column} = {value} WHERE id = {id}")).await;
            }
        }
        self.end("COMMIT").await;
    }

    async fn end(&mut self, sql: &str) {
        let sql = if std::mem::take(&mut self.spoilt) { "ROLLBACK" } else { sql };
        self.run(sql).await;
    }

    /// Runs a statement. Duplicate keys and deadlocks are part of the game, nothing else is.
    async fn run(&mut self, sql: &str) {
        if self.spoilt {
            return;
        }
        match self.app.simple_query(sql).await {
            Ok(messages) => {
                let count = |message: &SimpleQueryMessage| match message {
                    SimpleQueryMessage::CommandComplete(rows) => usize::try_from(*rows).unwrap_or(0),
                    _ => 0,
                };
                self.changes.add_permits(messages.iter().map(count).sum());
            }
            Err(error) if is_game(&error) => self.spoilt = true,
            Err(error) => {
                let told = format!("the application's statement failed: {sql}: {error:?}");
                self.trouble.send_replace(told.clone());
                panic!("{told}");
            }
        }
    }
}

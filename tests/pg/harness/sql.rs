//! Statements as text, and what comes back as text.

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A connection that lives as long as its client.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|e| panic!("{url}: {e:?}"));
    tokio::spawn(connection);
    client
}

/// Runs statements. One that fails fails the test.
pub async fn run(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        panic!("{error:?}\n{}", sql.chars().take(500).collect::<String>());
    }
}

/// The rows of a query.
pub async fn rows(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{e:?}\n{sql}"));
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// The first value of a query's first row.
pub async fn get(client: &Client, sql: &str) -> Option<String> {
    rows(client, sql).await.into_iter().next().and_then(|row| row.into_iter().next().flatten())
}

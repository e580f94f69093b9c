//! `osc check`: the preflight on its own.

use super::engine::Engine;
use super::plan_view;
use super::request::CheckRequest;
use super::runtime;
use super::servers::{mysql_address, mysql_table, postgres_address, postgres_table};
use crate::engine::mysql::open::{Prepared as MySql, Request};
use crate::engine::mysql::source::Watch;
use crate::engine::opening::{Finish, Look, Prepared};
use crate::engine::postgres::open as postgres;
use crate::engine::postgres::source;
use crate::error::{Error, Result};

pub fn run(request: CheckRequest) -> Result<()> {
    runtime::block_on(check(request))
}

async fn check(request: CheckRequest) -> Result<()> {
    match request.connection.engine {
        Engine::MySql => {
            let look = MySql::look(Request {
                address: mysql_address(&request.connection).await?,
                table: mysql_table(&request.table),
                alter: request.alter.clone(),
                watch: Watch::default(),
            });
            tell(&request, look.await?)
        }
        Engine::Postgres => {
            let mut request = request;
            let address = postgres_address(&request.connection)?;
            let look = postgres::Prepared::look(postgres::Request {
                table: postgres_table(&address, &mut request.table).await?,
                address,
                alter: request.alter.clone(),
                watch: source::Watch::default(),
            });
            tell(&request, look.await?)
        }
    }
}

/// The answer, whatever the engine.
fn tell<P: Prepared>(request: &CheckRequest, look: Look<P>) -> Result<()> {
    match look {
        Look::Prepared(prepared) => plan_view::show(&prepared.plan()?, true, request.output),
        Look::DoneBefore(finish) => {
            return Err(Error::refused("An earlier run has made this change already.")
                .table("The table has the new definition.")
                .todo(format!("When you don't need the old table any more: {};", finish.drop_old_statement())));
        }
        Look::SwappedBefore(_) => {
            return Err(Error::refused(
                "An earlier run has swapped the tables already and was cut off before it tidied up.",
            )
            .table("The table has the new definition.")
            .todo("Run the same `osc alter` again to tidy up."));
        }
    }
    Ok(())
}

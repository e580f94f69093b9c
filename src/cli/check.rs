//! `osc check`: the preflight on its own.

use super::alter::address;
use super::plan_view;
use super::request::CheckRequest;
use super::runtime;
use crate::engine::mysql::open::{Prepared as MySql, Request};
use crate::engine::mysql::source::Watch;
use crate::engine::mysql::sql::Table;
use crate::engine::opening::{Finish, Look, Prepared};
use crate::error::{Error, Result};

pub fn run(request: CheckRequest) -> Result<()> {
    runtime::block_on(check(request))
}

async fn check(request: CheckRequest) -> Result<()> {
    let look = MySql::look(Request {
        address: address(&request.connection).await?,
        table: Table::new(&request.table.database, &request.table.table),
        alter: request.alter,
        watch: Watch::default(),
    });
    match look.await? {
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

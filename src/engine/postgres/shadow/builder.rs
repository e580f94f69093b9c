//! The transaction in which a shadow is made: what is said in it is kept, for the plan.

use super::super::catalog::Relation;
use super::super::names::Names;
use super::super::session::Session;
use super::super::sql::{Ident, Table, text};
use crate::error::{Error, Result};

pub struct Builder<'a> {
    pub session: &'a mut Session,
    pub names: &'a Names,
    pub source: Relation,
    pub statements: Vec<String>,
    pub warnings: Vec<String>,
}

impl Builder<'_> {
    /// Runs a statement that makes something of the shadow.
    pub async fn run(&mut self, sql: String) -> Result<()> {
        self.session.exec(&sql).await.map_err(|error| {
            let doing = format!("A copy of {} could not be made ({sql})", self.names.original.bare());
            error.context(&doing)
        })?;
        self.statements.push(sql);
        Ok(())
    }

    /// Runs a statement that may fail; the transaction goes on. Whether it did not.
    pub async fn attempt(&mut self, sql: &str) -> Result<Result<()>> {
        self.session.exec("SAVEPOINT attempt").await?;
        let outcome = self.session.exec(sql).await;
        match outcome {
            Ok(_) => {
                self.session.exec("RELEASE SAVEPOINT attempt").await?;
                Ok(Ok(()))
            }
            Err(error) if error.kind() == crate::error::Kind::Definite => {
                self.session.exec("ROLLBACK TO SAVEPOINT attempt").await?;
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    /// What is made next goes there; none: into the database's own.
    pub async fn tablespace(&mut self, name: Option<&str>) -> Result<()> {
        self.session
            .exec(&format!("SELECT set_config('default_tablespace', {}, true)", text(name.unwrap_or_default())))
            .await
            .map(std::mem::drop)
    }

    /// Refuses unless osc may act as the owner of what has to be altered.
    pub async fn acts_as(&mut self, owner: &Ident, of: &str) -> Result<()> {
        let may = format!("SELECT pg_has_role({}, 'USAGE')", text(owner.bare()));
        if self.session.value(&may).await?.as_deref() == Some("t") {
            return Ok(());
        }
        let account = self.session.value("SELECT quote_ident(current_user)").await?.unwrap_or_default();
        Err(self
            .refused(&format!("{of} belongs to {}, and osc has to alter it in the swap", owner.bare()))
            .todo(format!("For the time of the change: GRANT {owner} TO {account}.")))
    }

    pub fn shadow(&self) -> &Table {
        &self.names.shadow
    }

    pub fn refused(&self, why: &str) -> Error {
        super::super::catalog::refused(&self.names.original, why)
    }
}

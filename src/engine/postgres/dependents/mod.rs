//! What hangs on the table and has to follow its name, and what the table hangs under: one file a kind.
//!
//! All of it is found out when the shadow is built, in the same transaction. A kind that the ALTER may touch
//! (by a rename, say) is made on the empty shadow before the ALTER and read back after it, so the server rewrites
//! what it would rewrite, and refuses what it would refuse. Then it is taken off again, because on a table that
//! is being filled it would act or cost; the swap puts it back, under the name that it had. Whatever hangs on
//! the table and is none of these is refused by name (`others`).

mod elsewhere;
mod foreign;
mod functions;
pub mod matviews;
mod others;
mod parents;
mod policies;
pub mod proofs;
mod publications;
mod references;
mod sequences;
mod statistics;
mod triggers;
pub mod views;

pub use parents::stand_in;

use super::alter::Alter;
use super::names::Names;
use super::session::Session;
use super::shadow::Shadow;
use super::shadow::builder::Builder;
use super::sql::{Ident, Table};
use super::swap::Swap;
use crate::error::Result;

/// The statements of the swap by the moment at which they run.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Locks of dependents, before any table.
    pub first: Vec<String>,
    /// Locks of tables, after the table itself.
    pub tables: Vec<String>,
    /// While both tables are where they were: taking off.
    pub detach: Vec<String>,
    /// What goes aside with the old table, and comes with the new one.
    pub aside: Vec<String>,
    pub along: Vec<String>,
    /// When the new table has its name.
    pub attach: Vec<String>,
    /// When all of that is on it: what puts it under its parents, and what they bring along.
    pub join: Vec<String>,
    /// The tables that it hangs under, the topmost first.
    pub above: Vec<Table>,
    /// After the commit.
    pub after: Vec<String>,
    /// Foreign keys that `after` validates though nothing has shown yet that they hold.
    pub unproved: Vec<proofs::Unproved>,
    /// Materialized views that are led to the new table after that.
    pub matviews: Vec<matviews::Matview>,
    /// Sequences that stay in their schema, and change hands.
    pub stay: Vec<Table>,
}

impl Parts {
    pub fn swap(self, names: &Names) -> Swap {
        let (original, shadow, old) = (&names.original, &names.shadow, &names.old);
        let strong = |table: &Table| format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE");
        let mut tables: Vec<String> = self.above.iter().chain([original]).map(strong).collect();
        tables.extend(self.tables);
        let mut statements = vec![
            format!("CREATE SCHEMA IF NOT EXISTS {}", old.schema),
            format!("COMMENT ON SCHEMA {} IS {}", old.schema, super::sql::text(&names.comment())),
        ];
        statements.extend(self.detach);
        statements.push(format!("ALTER TABLE {original} SET SCHEMA {}", old.schema));
        statements.extend(self.aside);
        statements.push(format!("ALTER TABLE {shadow} SET SCHEMA {}", original.schema));
        statements.extend(self.along);
        statements.extend(self.attach);
        statements.extend(self.join);
        let Parts { above, first, after, matviews, .. } = self;
        Swap { above, first, tables, statements, after, matviews, checks: Vec::new() }
    }
}

/// The swap of this shadow.
///
/// It was planned when the shadow was built, and holds as long as the table's fingerprint is the same: whoever
/// runs it compares that under the lock. Here only what is in no fingerprint is looked at: whether the name is free where
/// the old table goes.
pub async fn plan(session: &mut Session, names: &Names, shadow: &Shadow) -> Result<Swap> {
    let taken = format!(
        "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {}",
        super::sql::text(names.old.schema.bare()),
        super::sql::text(names.old.name.bare())
    );
    if session.first(&taken).await?.is_some() {
        return Err(super::catalog::refused(
            &names.original,
            &format!("the old table of an earlier change is still there, as {}", names.old.bare()),
        )
        .todo(format!("Drop it when nobody needs it any more: DROP TABLE {}.", names.old)));
    }
    Ok(shadow.swap.clone())
}

/// What is made on the shadow before the ALTER.
pub struct StandIns {
    sequences: sequences::Before,
    foreign: foreign::Foreign,
    /// The ALTER's clauses, with stand-ins for the tables that it references.
    pub clauses: String,
    views: Vec<views::View>,
    matviews: Vec<matviews::StandIn>,
    policies: Vec<elsewhere::Policy>,
    publications: Vec<publications::Publication>,
    statistics: Vec<(super::sql::Table, Ident)>,
    /// What the tables above it are called meanwhile.
    parents: Vec<(String, String)>,
}

impl StandIns {
    pub async fn make(b: &mut Builder<'_>, alter: &Alter) -> Result<StandIns> {
        others::refuse(b).await?;
        parents::before(b).await?;
        let sequences = sequences::before(b).await?;
        let statistics = statistics::before(b).await?;
        let mut foreign = foreign::before(b).await?;
        let (new, clauses) = references::before(b, alter).await?;
        foreign.keys.extend(new);
        triggers::before(b).await?;
        policies::before(b).await?;
        let elsewhere = elsewhere::before(b).await?;
        let publications = publications::before(b).await?;
        let views = views::before(b).await?;
        let matviews = matviews::before(b).await?;
        let parents = b.source.family.above.iter().map(|one| parents::says(b, one)).collect();
        Ok(StandIns {
            sequences,
            foreign,
            clauses,
            views,
            matviews,
            policies: elsewhere,
            publications,
            statistics,
            parents,
        })
    }

    /// A message of the server about them, with the names that the user knows.
    pub fn reword(&self, names: &Names, message: &str) -> String {
        let schema = names.shadow.schema.bare();
        let said =
            self.views.iter().map(views::View::says).chain(self.foreign.keys.iter().filter_map(foreign::Key::says));
        let said = said.chain(self.parents.iter().cloned());
        let mut message = message.to_string();
        for (stand_in, name) in said {
            message = message.replace(&format!("{schema}.{stand_in}"), &name).replace(&stand_in, &name);
        }
        message.replace(schema, names.original.schema.bare())
    }

    /// Reads back what the ALTER has made of them, and takes them off.
    pub async fn read_back(self, b: &mut Builder<'_>, restarts: &[Ident]) -> Result<Parts> {
        let mut parts = Parts::default();
        sequences::after(b, self.sequences, restarts, &mut parts).await?;
        statistics::after(b, &self.statistics, &mut parts).await?;
        matviews::after(b, self.matviews, &mut parts).await?;
        views::after(b, self.views, &mut parts).await?;
        elsewhere::after(b, self.policies, &mut parts).await?;
        publications::after(b, self.publications, &mut parts).await?;
        policies::after(b, &mut parts).await?;
        triggers::after(b, &mut parts).await?;
        parents::after(b, &mut parts).await?;
        foreign::after(b, self.foreign, &mut parts).await?;
        functions::touch(b, &mut parts).await?;
        Ok(parts)
    }
}

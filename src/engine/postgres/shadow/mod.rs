//! The shadow: what a run needs to know of the new table, found out once, when it is built.
//!
//! The server itself runs the ALTER, on the empty shadow, so the new definition is what a native ALTER would
//! make of it. Columns are told apart by their number: ALTER TABLE keeps it, so a rename needs no reading of
//! the text. The whole of this is stored in the run's record; a later life reads it from there.

pub mod builder;
pub mod clone;
pub mod columns;
mod constraints;
mod heir;
pub mod inherited;
pub mod keys;
mod later;
mod unique;

use serde::{Deserialize, Serialize};

use super::alter::Alter;
use super::catalog::Relation;
use super::dependents::{StandIns, proofs};
use super::identity::Found;
use super::key::{self, KeyShape};
use super::names::Names;
use super::session::{Session, text_at};
use super::sql::{Ident, Table, TypeName, list, text};
use super::swap::Swap;
use crate::error::{Error, Kind, Result};
use builder::Builder;
pub use later::Later;

/// A column of the shadow that a sync writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub column: Ident,
    /// Its type, as `format_type` prints it, for comparisons: a sync itself leaves the conversion to the INSERT.
    pub kind: TypeName,
    /// What is selected for it from the source alone, whose columns it names without a prefix: the column, the
    /// expression of its USING, or the constant that existing rows get from a default that is not volatile.
    pub expression: String,
    /// A comparison looks at it; not at values that differ with the moment of the copy.
    pub compared: bool,
}

/// A unique index or an exclusion constraint of the shadow, but the key's, that rows may collide under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// For messages.
    pub name: Ident,
    pub parts: Vec<UniquePart>,
    /// The condition of a partial index, over the shadow's columns without a prefix.
    pub condition: Option<String>,
    /// NULLS NOT DISTINCT.
    pub nulls_equal: bool,
}

/// One element of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniquePart {
    /// Over the shadow's columns without a prefix, with its COLLATE where the index has another one than the column.
    pub expression: String,
    /// The operator under which two rows collide, as `OPERATOR(schema.=)`.
    pub operator: String,
}

/// What is known of the shadow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    pub columns: Vec<Written>,
    /// An identity column GENERATED ALWAYS is written: INSERT has to say OVERRIDING SYSTEM VALUE.
    pub overriding: bool,
    pub unique: Vec<Unique>,
    /// Of these one that is checked at the commit, unless it is told otherwise.
    #[serde(default)]
    pub deferred: bool,
    /// Indexes that are built when the rows are there.
    pub later: Vec<Later>,
    /// The source's key, by which rows travel.
    pub key: KeyShape,
    /// The same columns as the shadow calls them, in the key's order. Two keys that differ in the source differ here.
    pub shadow_key: Vec<Ident>,
    /// What was said to the server to build it, for the plan.
    pub statements: Vec<String>,
    pub warnings: Vec<String>,
    /// The ALTER as it was given.
    pub alter: String,
    /// What the swap consists of; it holds as long as nothing of the table is changed.
    pub swap: Swap,
}

impl Shadow {
    /// What a run would build: built, and rolled back.
    pub async fn look(session: &mut Session, names: &Names, found: &Found, alter: &str) -> Result<Shadow> {
        session.exec("BEGIN").await?;
        let built = Shadow::build(session, names, found, alter).await;
        let ended = session.exec("ROLLBACK").await;
        let shadow = built?;
        ended?;
        Ok(shadow)
    }

    /// Makes the shadow and runs the ALTER on it, in the caller's transaction: nothing is left behind when that fails.
    pub async fn build(session: &mut Session, names: &Names, found: &Found, alter: &str) -> Result<Shadow> {
        let parsed = Alter::parse(alter, &names.original)?;
        let key = key::choose(session, &names.original, found).await?;
        Shadow::make(session, names, key, &parsed, alter).await
    }

    async fn make(session: &mut Session, names: &Names, key: KeyShape, alter: &Alter, given: &str) -> Result<Shadow> {
        session.exec("SET LOCAL lock_timeout = '1s'").await?;
        let source = Relation::read(session, &names.original).await?;
        let mut b = Builder { session, names, source, statements: Vec::new(), warnings: Vec::new() };
        clone::create(&mut b).await?;
        let origins = columns::origins(&mut b).await?;
        let printed = columns::print(&mut b, &alter.using).await?;
        let stand_ins = StandIns::make(&mut b, alter).await?;
        run_alter(&mut b, &stand_ins).await?;
        names_of_constraints(&mut b, alter).await?;
        let mut parts = stand_ins.read_back(&mut b, &alter.restarts).await?;
        constraints::set_aside(&mut b, &mut parts).await?;
        let columns = columns::read(&mut b, &origins).await?;
        let shadow_key = keys::renamed(&b, &key, &columns, alter)?;
        if keys::index(&mut b, &shadow_key).await? {
            parts.detach.push(format!("DROP INDEX {}.{}", names.shadow.schema, keys::INDEX));
        }
        free_names(&mut b, &parts.stay).await?;
        let written = columns::written(&mut b, &columns, alter, &printed).await?;
        let checks = proofs::checks(&mut b, &parts.unproved, &columns, &written, alter, &shadow_key).await?;
        let unique = unique::read(&mut b, &shadow_key).await?;
        let deferred = constraints::deferred(&mut b).await?;
        let later = later::take_off(&mut b).await?;
        let always = |w: &Written| columns.iter().any(|c| c.name == w.column && c.identity == "a");
        Ok(Shadow {
            overriding: written.iter().any(always),
            columns: written,
            unique,
            deferred,
            later,
            key,
            shadow_key,
            statements: b.statements,
            warnings: b.warnings,
            alter: given.to_string(),
            swap: Swap { checks, ..parts.swap(names) },
        })
    }

    /// The columns for `INSERT INTO shadow (…)`.
    pub fn insert_columns(&self) -> String {
        list(self.columns.iter().map(|c| &c.column))
    }

    /// What to select from the source for them.
    pub fn select_list(&self) -> String {
        list(self.columns.iter().map(|c| &c.expression))
    }
}

/// Runs the user's ALTER, as one statement, under the search_path that the user expects.
async fn run_alter(b: &mut Builder<'_>, stand_ins: &StandIns) -> Result<()> {
    columns::user_path(b).await?;
    let statement = format!("ALTER TABLE {} {}", b.shadow(), stand_ins.clauses);
    let ran = b.session.exec_single(&statement).await;
    ran.map_err(|error| match error.kind() {
        Kind::Definite => {
            Error::refused(format!("The server refuses the ALTER: {}", stand_ins.reword(b.names, error.what())))
                .table("The table is untouched.")
                .todo("Correct the ALTER; nothing has been changed.")
                .caused_by(error)
        }
        _ => error,
    })?;
    b.statements.push(statement);
    columns::own_path(b).await
}

/// Refuses a constraint that the server would have named otherwise: it looks for a name that no constraint of the same schema has,
/// and the shadow is in another one. A name that the ALTER says may be another table's too.
async fn names_of_constraints(b: &mut Builder<'_>, alter: &Alter) -> Result<()> {
    let sql = format!(
        "SELECT k.conname FROM pg_constraint k WHERE k.conrelid = {} \
           AND NOT EXISTS (SELECT FROM pg_constraint s WHERE s.conrelid = {oid} AND s.conname = k.conname) \
           AND EXISTS (SELECT FROM pg_constraint o WHERE o.conname = k.conname AND o.conrelid <> {oid} \
             AND o.connamespace = {}::regnamespace) ORDER BY 1",
        b.shadow().regclass(),
        text(&b.names.original.schema.to_string()),
        oid = b.source.oid,
    );
    let taken: Vec<String> = b.session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).collect();
    let Some(name) = taken.into_iter().find(|name| !alter.says.iter().any(|said| said.bare() == name)) else {
        return Ok(());
    };
    let why = format!(
        "the server would call a constraint of the ALTER {name}, and {} has a constraint of that name already",
        b.names.original.schema.bare()
    );
    Err(b.refused(&why).todo("Give the new constraint a name of its own in the ALTER."))
}

/// Refuses when something that the new table brings along is called like something that stays: indexes and
/// sequences that the ALTER made and the server named.
async fn free_names(b: &mut Builder<'_>, stay: &[Table]) -> Result<()> {
    let (original, shadow, oid) = (&b.names.original, &b.names.shadow, b.source.oid);
    let staying = stay.iter().map(Table::regclass).chain(["0".to_string()]).collect::<Vec<_>>().join(", ");
    // What goes aside: the table, its indexes, the sequences of its columns, its statistics, its types.
    let sql = format!(
        "WITH leaving AS (SELECT {oid}::oid AS oid UNION SELECT indexrelid FROM pg_index WHERE indrelid = {oid} \
           UNION SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass \
             AND refobjid = {oid} AND deptype IN ('a', 'i') AND objid NOT IN ({staying})) \
         SELECT o.relname FROM pg_class n JOIN pg_class o ON o.relname = n.relname AND o.relnamespace = {}::regnamespace \
         WHERE n.relnamespace = {}::regnamespace AND o.oid NOT IN (SELECT oid FROM leaving) \
         UNION ALL SELECT o.typname FROM pg_type n JOIN pg_type o ON o.typname = n.typname AND o.typnamespace = {}::regnamespace \
         WHERE n.typnamespace = {}::regnamespace AND o.oid NOT IN ({})",
        text(&original.schema.to_string()),
        text(&shadow.schema.to_string()),
        text(&original.schema.to_string()),
        text(&shadow.schema.to_string()),
        list(&b.source.types),
    );
    let taken: Vec<String> = b.session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let why =
        format!("the new table would bring a name that is taken in {}: {}", original.schema.bare(), taken.join(", "));
    Err(b.refused(&why).todo("Give the new constraint, index or sequence a name of its own in the ALTER."))
}

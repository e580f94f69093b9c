//! The shadow: what a run needs to know of the new table, found out once, when it is built.
//!
//! The server itself runs the ALTER, on the empty shadow, so the new definition is what a native ALTER would
//! make of it. Columns are told apart by their number: ALTER TABLE keeps it, so a rename needs no reading of
//! the text. The whole of this is stored in the run's record; a later life reads it from there.

use serde::{Deserialize, Serialize};

use super::key::KeyShape;
use super::sql::{Ident, TypeName};

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
    /// The source's key, by which rows travel.
    pub key: KeyShape,
    /// The same columns as the shadow calls them, in the key's order. Two keys that differ in the source differ here.
    pub shadow_key: Vec<Ident>,
    /// What was said to the server to build it, for the plan.
    pub statements: Vec<String>,
    pub warnings: Vec<String>,
    /// What the swap has to know of the ALTER beyond what the catalog says at that time.
    pub alter: String,
}

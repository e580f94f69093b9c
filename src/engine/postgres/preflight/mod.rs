//! What is looked at before anything is touched.
//!
//! A run that can't end well is refused here, with exit 3, on an untouched server. Everything is asked as the
//! documented least-privileged account, by statements that change nothing. All that is wrong is found at once and told in
//! one error, so that it can be put right in one go. What the ALTER itself makes impossible is found out by building
//! the shadow, not here.
//!
//! What can change while a run is under way is looked at again where it matters (`watch`, `fence`); this is the first
//! look, not the only one. A server that is too old, a standby, and a pooler in between are refused by the session
//! itself, whoever opens it.

mod account;
mod leftovers;
mod others;
mod server;
mod spelled;
mod table;

pub use spelled::spelled;

use super::identity::Found;
use super::names::Names;
use super::session::Session;
use crate::engine::problems::Problems;
use crate::error::Result;

/// What the run and its plan have to know of the server and the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The server's own estimate.
    pub rows: u64,
    /// The table without its indexes.
    pub bytes: u64,
    /// With them: what the new table is going to need, as much as can be known.
    pub total_bytes: u64,
    /// The server commits with a standby, in words; none without.
    pub synchronous: Option<String>,
    /// Sentences for the plan.
    pub hints: Vec<String>,
}

/// Looks at the server, the account and the table. `resuming` says that the run whose things are there is the one
/// that goes on.
pub async fn check(session: &mut Session, names: &Names, found: &Found, resuming: bool) -> Result<Facts> {
    let mut problems = Problems::default();
    let mut facts = Facts::default();
    let settings = server::settings(session, resuming, &mut problems, &mut facts).await?;
    account::check(session, names, found, &mut problems).await?;
    table::check(session, names, found, &mut problems, &mut facts).await?;
    others::check(session, names, &mut problems, &mut facts).await?;
    leftovers::check(session, names, resuming, &mut problems).await?;
    server::advise(&settings, &mut facts);
    problems.none_but(facts)
}

//! Which failpoints a run comes by. The page that lists them says of which server one is, if not of all: a list here would
//! be forgotten with the next one.

use osc::failpoint::NAMES;

use crate::harness::Kind;
use crate::site::server;

/// In the order in which a run comes by them.
pub fn places(kind: Kind) -> Vec<&'static str> {
    let page = include_str!("../../docs/failpoints.md");
    let here = |name: &&str| {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| `{name}` | ")));
        let row = row.unwrap_or_else(|| panic!("docs/failpoints.md does not list {name}"));
        let of = ["MySQL", "MariaDB", "PostgreSQL"].into_iter().find(|of| row.starts_with(of));
        of.is_none_or(|of| of == server(kind))
    };
    NAMES.into_iter().filter(here).collect()
}

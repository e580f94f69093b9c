//! The statements of one comparison.
//!
//! A row without its like is asked for by a count of zero and not by NOT EXISTS: that the servers may turn
//! into a join that reads the whole of the other table.

use crate::engine::mysql::key::Side;
use crate::engine::mysql::mirror::Rewrite;
use crate::engine::mysql::session::Session;
use crate::engine::mysql::shadow::Equal;
use crate::engine::mysql::sql::Table;
use crate::error::Result;
use crate::model::Rows;

pub struct Statements<'a> {
    rewrite: &'a Rewrite,
    rows: Rows<'a>,
    /// The conditions for the set, of the source `s` and of the shadow.
    ours: String,
    theirs: String,
    /// The same key in `s` and `t`.
    key: String,
    scratch: Table,
}

impl<'a> Statements<'a> {
    pub fn new(rewrite: &'a Rewrite, rows: Rows<'a>) -> Result<Statements<'a>> {
        Ok(Statements {
            rewrite,
            rows,
            ours: rewrite.key.where_rows(Side::Source, Some("s"), rows)?,
            theirs: rewrite.key.where_rows(Side::Shadow, Some("t"), rows)?,
            key: rewrite.key.same("s", "t", "="),
            scratch: rewrite.names.shadow.sibling("osc_compared"),
        })
    }

    /// Whether the columns themselves tell what is wrong.
    pub fn exact(&self) -> bool {
        self.rewrite.equal.iter().all(|column| column.exact)
    }

    fn source(&self) -> String {
        format!("{} s FORCE INDEX ({})", self.rewrite.names.original, self.rewrite.key.index)
    }

    fn shadow(&self) -> String {
        format!("{} t FORCE INDEX ({})", self.rewrite.names.shadow, self.rewrite.key.shadow_index)
    }

    /// What holds for a pair that is right; the key's columns tell a missing row from one of NULLs. Not by
    /// IS NULL, which the servers take for true where a date is zero.
    fn right(&self, key: String, column: impl Fn(&Equal) -> Option<&String>) -> Option<String> {
        let columns: Option<Vec<&String>> = self.rewrite.equal.iter().map(column).collect();
        Some(columns?.into_iter().fold(key, |all, one| format!("{all} AND {one}")))
    }

    fn quickly_right(&self) -> Option<String> {
        self.right(self.rewrite.key.same("s", "t", "<=>"), |column| column.quick.as_ref())
    }

    fn assigned_right(&self) -> String {
        let right = self.right(self.scratch_key("<=>"), |column| Some(&column.assigned));
        right.unwrap_or_else(|| "FALSE".into())
    }

    fn counts(&self, right: &str, from: &str, condition: &str, source: &str) -> String {
        format!(
            "SELECT COUNT(*), COUNT(IF({right}, NULL, 1)), (SELECT COUNT(*) FROM {} WHERE {}), {source} \
             FROM {from} WHERE {condition}",
            self.shadow(),
            self.theirs
        )
    }

    /// Counts the pairs, the wrong ones, the shadow's rows and the source's, if every column has a quick
    /// condition.
    pub fn quick(&self) -> Option<String> {
        let right = self.quickly_right()?;
        let from = format!("{} LEFT JOIN {} ON {}", self.source(), self.shadow(), self.key);
        let source = match self.rewrite.key.shadow_unique {
            true => "COUNT(*)".to_owned(),
            false => format!("(SELECT COUNT(*) FROM {} WHERE {})", self.source(), self.ours),
        };
        Some(self.counts(&right, &from, &self.ours, &source))
    }

    /// The keys of the source's rows that no row of the shadow is right for, or more than one has.
    pub fn differing(&self, most: usize) -> String {
        let right = self.quickly_right().unwrap_or_else(|| "FALSE".into());
        self.without(&format!("SELECT COUNT(*) FROM {} WHERE {} AND {right}", self.shadow(), self.key), most)
    }

    fn without(&self, right_one: &str, most: usize) -> String {
        let twice = match self.rewrite.key.shadow_unique {
            true => String::new(),
            false => format!(" OR (SELECT COUNT(*) FROM {} WHERE {}) > 1", self.shadow(), self.key),
        };
        format!(
            "SELECT {} FROM {} WHERE {} AND (({right_one}) = 0{twice}) LIMIT {most}",
            self.rewrite.key.select_list_of("s"),
            self.source(),
            self.ours
        )
    }

    /// The keys of the shadow's rows that the source does not have.
    pub fn extra(&self, most: usize) -> String {
        format!(
            "SELECT {} FROM {} WHERE {} AND (SELECT COUNT(*) FROM {} WHERE {}) = 0 LIMIT {most}",
            self.rewrite.key.shadow_select_list("t"),
            self.shadow(),
            self.theirs,
            self.source(),
            self.key
        )
    }

    pub async fn clear(&self, session: &mut Session) -> Result<()> {
        session.exec(&format!("DROP TEMPORARY TABLE IF EXISTS {}", self.scratch)).await.map(drop)
    }

    pub fn create(&self) -> String {
        format!("CREATE TEMPORARY TABLE {} {}", self.scratch, self.rewrite.scratch)
    }

    /// Puts the source's rows into the scratch table, as a sync would into the shadow.
    pub fn fill(&self) -> Result<String> {
        self.rewrite.insert(&self.scratch, self.rows)
    }

    /// The same key in the scratch table `x` and in `t`: both have the shadow's columns.
    fn scratch_key(&self, sign: &str) -> String {
        let names = self.rewrite.key.names(Side::Shadow);
        names.iter().map(|name| format!("t.{name} {sign} x.{name}")).collect::<Vec<_>>().join(" AND ")
    }

    /// The counts, with the scratch table in the source's place.
    pub fn assigned(&self) -> String {
        let from = format!("{} x LEFT JOIN {} ON {}", self.scratch, self.shadow(), self.scratch_key("="));
        // No temporary table can be opened twice: a second row of one key shows in the shadow's count.
        self.counts(&self.assigned_right(), &from, "TRUE", "COUNT(*)")
    }

    /// The keys of the source's rows for which the shadow has no row that the scratch table has too.
    pub fn unassigned(&self, most: usize) -> String {
        let right_one = format!(
            "SELECT COUNT(*) FROM {} STRAIGHT_JOIN {} x ON {} WHERE {} AND {}",
            self.shadow(),
            self.scratch,
            self.scratch_key("="),
            self.key,
            self.assigned_right()
        );
        self.without(&right_one, most)
    }
}

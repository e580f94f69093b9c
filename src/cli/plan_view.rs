//! How a plan is shown before it happens.

use serde::Serialize;

use crate::operate::output::{Output, event, say};
use crate::plan::Plan;

#[derive(Serialize)]
struct Shown<'a> {
    dry_run: bool,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// Shows the plan on standard output. A dry run has every statement; before a real run the statements
/// are shown only to who asks for more.
pub fn show(plan: &Plan, dry_run: bool, output: Output) {
    if output.json {
        event("plan", &Shown { dry_run, plan });
    } else if dry_run || !output.quiet {
        say(&text(plan, dry_run || output.verbose > 0));
        if dry_run {
            say("\nThis was a dry run: nothing was changed.");
        }
    }
}

fn text(plan: &Plan, statements: bool) -> String {
    let mut lines = vec![format!("Plan for {}", plan.table)];
    let mut facts = vec![("strategy", format!("{}: {}", plan.strategy, plan.why))];
    facts.extend(plan.facts.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.extend(facts.iter().map(|(name, value)| format!("  {name:width$}  {}", indented(value, width + 4))));
    if statements && !plan.statements.is_empty() {
        lines.push("\nStatements, in this order:".into());
        let digits = plan.statements.len().to_string().len();
        let numbered = plan.statements.iter().enumerate();
        lines.extend(numbered.map(|(at, sql)| format!("  {:digits$}. {}", at + 1, indented(sql, digits + 4))));
    }
    if !plan.warnings.is_empty() {
        lines.push("\nTo be aware of:".into());
        lines.extend(plan.warnings.iter().map(|warning| format!("  - {}", indented(warning, 4))));
    }
    lines.join("\n")
}

/// Further lines of a text stand below its first.
fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(by)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            strategy: "shadow",
            why: "the only one so far".into(),
            table: "shop.orders".into(),
            facts: vec![("rows".into(), "about 1,000,000".into())],
            statements: vec!["CREATE TABLE x (\n  id INT\n)".into(), "RENAME TABLE …".into()],
            warnings: vec!["No replica is watched.".into()],
        }
    }

    #[test]
    fn a_plan_reads_top_down() {
        let want = "Plan for shop.orders\n  \
                    strategy  shadow: the only one so far\n  \
                    rows      about 1,000,000\n\n\
                    Statements, in this order:\n  \
                    1. CREATE TABLE x (\n       id INT\n     )\n  \
                    2. RENAME TABLE …\n\n\
                    To be aware of:\n  - No replica is watched.";
        assert_eq!(text(&plan(), true), want);
        assert!(!text(&plan(), false).contains("RENAME"));
    }

    #[test]
    fn a_program_gets_every_field() {
        let line = crate::operate::output::json_line("plan", &Shown { dry_run: true, plan: &plan() });
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["event"], &read["dry_run"]), (&"plan".into(), &true.into()));
        assert_eq!(read["statements"].as_array().unwrap().len(), 2);
    }
}

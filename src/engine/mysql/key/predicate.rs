//! WHERE clauses for sets of keys and for ranges, in forms that both servers turn into range access.
//!
//! Proved on both by counting what they read (tests/it/plan/access.rs). `(a, b) > (1, 2)` scans the
//! whole table on both, so a range is spelled out column by column, with a bound of its own on the
//! first column. `(a, b) IN ((1, 2), …)` has range access on both, but in MySQL 9.7 it finds nothing if
//! one of the columns is an ENUM compared with numbers and the list has more than one row; so sets of
//! composite keys are spelled out too. ENUM and SET have range access for equality only, so their
//! comparisons become IN.

use super::kind::Kind;
use super::literal::literal;
use super::value::Value;
use crate::engine::mysql::sql::{Ident, list};

/// A key column on one side.
#[derive(Debug, Clone, Copy)]
pub struct Col<'a> {
    pub name: &'a Ident,
    pub kind: &'a Kind,
    /// How many values the column can have on the source, if comparisons are to be spelled out.
    pub spelled_out: Option<i128>,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Before,
    UpTo,
    From,
    After,
}

impl Is {
    fn or_equal(self) -> Is {
        match self {
            Is::Before | Is::UpTo => Is::UpTo,
            Is::From | Is::After => Is::From,
        }
    }
}

/// The rows with these keys.
pub fn keys(columns: &[Col<'_>], keys: &[Vec<Value>]) -> String {
    if keys.is_empty() {
        return "FALSE".into();
    }
    if let [one] = columns {
        let literals = keys.iter().flatten().map(|value| literal(one.kind, value));
        return format!("{} IN ({})", one.name, list(literals));
    }
    let mut out = String::with_capacity(keys.len() * columns.len() * 20);
    for (at, key) in keys.iter().enumerate() {
        out.push_str(if at == 0 { "((" } else { ") OR (" });
        out.push_str(&equalities(columns, key).join(" AND "));
    }
    out.push_str("))");
    out
}

fn equalities(columns: &[Col<'_>], values: &[Value]) -> Vec<String> {
    columns.iter().zip(values).map(|(c, v)| format!("{} = {}", c.name, literal(c.kind, v))).collect()
}

/// The rows above `after` up to and with `upto`.
pub fn range(columns: &[Col<'_>], after: Option<&[Value]>, upto: Option<&[Value]>) -> String {
    let mut terms = Vec::new();
    let mut columns = columns;
    let (mut after, mut upto) = (after, upto);
    // What both ends have in common is an equality, which any optimizer understands.
    while let (Some([a, low @ ..]), Some([b, high @ ..]), [column, rest @ ..]) = (after, upto, columns) {
        if a != b || rest.is_empty() {
            break;
        }
        terms.push(format!("{} = {}", column.name, literal(column.kind, a)));
        (after, upto, columns) = (Some(low), Some(high), rest);
    }
    for (bound, is) in [(after, Is::After), (upto, Is::UpTo)] {
        if let Some(values) = bound {
            if let ([first, _, ..], [value, ..]) = (columns, values) {
                terms.push(comparison(first, is.or_equal(), value));
            }
            terms.push(lexical(columns, values, is));
        }
    }
    if terms.is_empty() { "TRUE".into() } else { terms.join(" AND ") }
}

/// `(a > 1) OR (a = 1 AND b > 2)`: the comparison of the whole key.
fn lexical(columns: &[Col<'_>], values: &[Value], is: Is) -> String {
    let strict = if is.or_equal() == Is::From { Is::After } else { Is::Before };
    let mut equal: Vec<String> = Vec::new();
    let mut ways: Vec<String> = Vec::new();
    for (at, (column, value)) in columns.iter().zip(values).enumerate() {
        let last = at + 1 == columns.len();
        let mut way = equal.clone();
        way.push(comparison(column, if last { is } else { strict }, value));
        ways.push(way.join(" AND "));
        equal.push(format!("{} = {}", column.name, literal(column.kind, value)));
    }
    match ways.as_slice() {
        [one] => one.clone(),
        many => format!("({})", many.iter().map(|w| format!("({w})")).collect::<Vec<_>>().join(" OR ")),
    }
}

fn comparison(column: &Col<'_>, is: Is, value: &Value) -> String {
    let is = match (column.descending, is) {
        (false, is) => is,
        (true, Is::Before) => Is::After,
        (true, Is::UpTo) => Is::From,
        (true, Is::From) => Is::UpTo,
        (true, Is::After) => Is::Before,
    };
    if let (Some(highest), Value::Int(n)) = (column.spelled_out, value) {
        let (low, high) = match is {
            Is::Before => (0, n - 1),
            Is::UpTo => (0, *n),
            Is::From => (*n, highest),
            Is::After => (n + 1, highest),
        };
        return if low > high { "FALSE".into() } else { format!("{} IN ({})", column.name, list(low..=high)) };
    }
    let sign = match is {
        Is::Before => "<",
        Is::UpTo => "<=",
        Is::From => ">=",
        Is::After => ">",
    };
    format!("{} {sign} {}", column.name, literal(column.kind, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: Kind = Kind::Int { width: 4, unsigned: false };

    fn with<T>(kinds: &[(&str, Kind, bool)], f: impl FnOnce(&[Col<'_>]) -> T) -> T {
        let names: Vec<Ident> = kinds.iter().map(|(n, ..)| Ident::new(*n)).collect();
        let columns: Vec<Col<'_>> = kinds
            .iter()
            .zip(&names)
            .map(|((_, kind, descending), name)| Col {
                name,
                kind,
                spelled_out: kind.spelled_out(),
                descending: *descending,
            })
            .collect();
        f(&columns)
    }

    fn ints<const N: usize>(values: [i128; N]) -> Vec<Value> {
        values.map(Value::Int).to_vec()
    }

    #[test]
    fn sets_of_keys() {
        with(&[("a", INT, false)], |c| {
            assert_eq!(keys(c, &[ints([1]), ints([-2])]), "`a` IN (1, -2)");
            assert_eq!(keys(c, &[]), "FALSE");
        });
        with(&[("a", INT, false), ("b", INT, false)], |c| {
            assert_eq!(keys(c, &[ints([1, 2]), ints([3, 4])]), "((`a` = 1 AND `b` = 2) OR (`a` = 3 AND `b` = 4))");
        });
    }

    #[test]
    fn ranges_of_one_column() {
        with(&[("a", INT, false)], |c| {
            assert_eq!(range(c, None, None), "TRUE");
            assert_eq!(range(c, Some(&ints([1])), None), "`a` > 1");
            assert_eq!(range(c, None, Some(&ints([9]))), "`a` <= 9");
            assert_eq!(range(c, Some(&ints([1])), Some(&ints([9]))), "`a` > 1 AND `a` <= 9");
            assert_eq!(range(c, Some(&ints([9])), Some(&ints([9]))), "`a` > 9 AND `a` <= 9");
        });
        with(&[("a", INT, true)], |c| {
            assert_eq!(range(c, Some(&ints([9])), Some(&ints([1]))), "`a` < 9 AND `a` >= 1");
        });
    }

    #[test]
    fn ranges_of_more_columns_have_a_bound_on_the_first() {
        with(&[("a", INT, false), ("b", INT, false)], |c| {
            assert_eq!(
                range(c, Some(&ints([1, 2])), Some(&ints([3, 4]))),
                "`a` >= 1 AND ((`a` > 1) OR (`a` = 1 AND `b` > 2)) AND `a` <= 3 AND ((`a` < 3) OR (`a` = 3 AND `b` <= 4))"
            );
            assert_eq!(range(c, Some(&ints([1, 2])), Some(&ints([1, 4]))), "`a` = 1 AND `b` > 2 AND `b` <= 4");
        });
    }

    #[test]
    fn enums_are_spelled_out() {
        let members = ["'x'", "'y'", "'z'"].map(String::from).to_vec();
        with(&[("e", Kind::Enum { members, charset: "latin1".into() }, false)], |c| {
            assert_eq!(range(c, Some(&ints([1])), Some(&ints([2]))), "`e` IN (2, 3) AND `e` IN (0, 1, 2)");
            assert_eq!(range(c, Some(&ints([3])), None), "FALSE");
        });
    }
}

//! The conditions that pick rows by their keys, on both sides.
//!
//! The literals are typed as the source's key. The shadow's key may be wider (integer to bigint); the server
//! compares across such types by the same index. One column compares by itself, more of them as rows: that is the
//! order of an index over them, and the server goes by the index for it.
//!
//! A list of keys of several columns is planned as one OR after the other: 1000 keys of 1,000,000 rows took 50 to 100 ms,
//! and 10 ms as a join with VALUES (15 and 18). The join makes the values distinct first, by their own
//! collation: right where equal keys have equal bytes, and elsewhere 'a' and 'A' would both find the one row.

use super::KeyShape;
use crate::engine::postgres::sql::{Ident, list};
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder, Range, Rows};

/// The condition for a set of rows. `columns` are the key's, as the statement names them.
pub fn rows(shape: &KeyShape, columns: &[Ident], rows: Rows<'_>) -> Result<String> {
    match rows {
        Rows::Range(of) => range(shape, columns, of),
        Rows::Keys(of) => keys(shape, columns, of),
    }
}

fn range(shape: &KeyShape, columns: &[Ident], range: &Range) -> Result<String> {
    let ours = row(columns);
    let one = |key: &Key, sign: &str| Ok::<_, Error>(format!("{ours} {sign} {}", row(&shape.literals(key)?)));
    Ok(match (&range.after, &range.upto) {
        (None, None) => "TRUE".into(),
        (Some(after), None) => one(after, ">")?,
        (None, Some(upto)) => one(upto, "<=")?,
        (Some(after), Some(upto)) => format!("{} AND {}", one(after, ">")?, one(upto, "<=")?),
    })
}

fn keys(shape: &KeyShape, columns: &[Ident], keys: &[Key]) -> Result<String> {
    if keys.is_empty() {
        return Ok("FALSE".into());
    }
    let values = keys.iter().map(|key| Ok(row(&shape.literals(key)?))).collect::<Result<Vec<_>>>()?;
    if columns.len() > 1 && shape.order() == KeyOrder::Bytes {
        return Ok(format!("{} IN (SELECT * FROM (VALUES {}) osc_keys)", row(columns), list(values)));
    }
    Ok(format!("{} IN ({})", row(columns), list(values)))
}

fn row<T: std::fmt::Display>(parts: &[T]) -> String {
    match parts {
        [one] => one.to_string(),
        more => format!("({})", list(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Form, KeyColumn};
    use super::*;
    use crate::engine::postgres::sql::TypeName;

    fn shape(columns: &[(&str, &str, Form)]) -> KeyShape {
        let column = |(name, kind, form): &(&str, &str, Form)| KeyColumn {
            name: Ident::new(*name),
            kind: TypeName::from_server((*kind).into()),
            form: *form,
        };
        KeyShape { columns: columns.iter().map(column).collect() }
    }

    fn names(names: &[&str]) -> Vec<Ident> {
        names.iter().map(|name| Ident::new(*name)).collect()
    }

    #[test]
    fn one_column_compares_by_itself() {
        let shape = shape(&[("id", "integer", Form::Integer)]);
        let key = |n: &str| shape.encode(&[n.as_bytes()]).unwrap();
        let columns = names(&["number"]);
        let sql = |rows: Rows<'_>| super::rows(&shape, &columns, rows).unwrap();
        let (all, part) = (Range { after: None, upto: None }, Range { after: Some(key("1")), upto: Some(key("9")) });
        assert_eq!(sql(Rows::Range(&all)), "TRUE");
        assert_eq!(sql(Rows::Range(&part)), "\"number\" > '1'::integer AND \"number\" <= '9'::integer");
        assert_eq!(sql(Rows::Keys(&[key("1"), key("-2")])), "\"number\" IN ('1'::integer, '-2'::integer)");
        assert_eq!(sql(Rows::Keys(&[])), "FALSE");
    }

    #[test]
    fn more_columns_compare_as_rows() {
        let columns = names(&["a", "b"]);
        let of = |form: Form| {
            let shape = shape(&[("a", "integer", Form::Integer), ("b", "text", form)]);
            let key = shape.encode(&[b"1", b"it's"]).unwrap();
            let range = Range { after: Some(key.clone()), upto: None };
            (super::rows(&shape, &columns, Rows::Range(&range)), super::rows(&shape, &columns, Rows::Keys(&[key])))
        };
        let (range, keys) = of(Form::Bytes);
        assert_eq!(range.unwrap(), "(\"a\", \"b\") > ('1'::integer, 'it''s'::text)");
        assert_eq!(keys.unwrap(), "(\"a\", \"b\") IN (SELECT * FROM (VALUES ('1'::integer, 'it''s'::text)) osc_keys)");
        assert_eq!(of(Form::Printed).1.unwrap(), "(\"a\", \"b\") IN (('1'::integer, 'it''s'::text))");
    }
}

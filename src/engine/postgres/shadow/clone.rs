//! The shadow before the ALTER: the source once more, empty, under its own names in a schema of osc's.
//!
//! `CREATE TABLE … LIKE` takes an ACCESS SHARE lock only, and brings columns, defaults, CHECKs and identity. What it leaves
//! out or calls something else is done here, one statement each: names of sequences and indexes, options, statistics
//! targets, comments, owner, grants, the CLUSTER mark, the replica identity.

use super::super::catalog::name_at;
use super::super::session::{code, text_at};
use super::super::sql::{Ident, Table, list, text};
use super::builder::Builder;
use super::{heir, inherited};
use crate::error::Result;

pub async fn create(b: &mut Builder<'_>) -> Result<()> {
    let (shadow, original) = (b.names.shadow.clone(), b.names.original.clone());
    let schema = shadow.schema.clone();
    tablespaces(b).await?;
    b.tablespace(None).await?;
    b.run(format!("CREATE SCHEMA {schema}")).await?;
    let database = b.session.value("SELECT current_database()").await?.unwrap_or_default();
    let comment = format!("osc: a run on {database}.{}", original.bare());
    b.run(format!("COMMENT ON SCHEMA {schema} IS {}", text(&comment))).await?;
    let with = if b.source.options.is_empty() { String::new() } else { format!(" WITH ({})", list(&b.source.options)) };
    let tablespace = b.source.tablespace.as_ref().map_or_else(String::new, |name| format!(" TABLESPACE {name}"));
    // Not by the session's default: SET ACCESS METHOD DEFAULT in the ALTER means that one.
    let using = format!(" USING {}", b.source.access_method);
    let (like, tail) = (
        " INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS",
        format!("{using}{with}{tablespace}"),
    );
    // From 17 on a partition has its identity from the top: it comes with ATTACH.
    let shared = b.source.family.bound.is_some() && b.session.version >= 17;
    let identity = if shared { "" } else { " INCLUDING IDENTITY" };
    let made = if b.source.family.is_heir() {
        heir::create(b, like, &tail).await
    } else {
        b.run(format!("CREATE TABLE {shadow} (LIKE {original}{like}{identity}){tail}")).await
    };
    made.map_err(|error| match code(&error) {
        // The server thinks of the names of all sequences before it makes the first.
        Some(c) if c.code() == "42P07" => b
            .refused("the server would call the sequences of two of its identity columns the same in a copy of it")
            .todo("Give one of the columns a name that differs in the beginning, or run the ALTER natively.")
            .caused_by(error),
        _ => error,
    })?;
    let owner = b.source.owner.clone();
    b.run(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}")).await?;
    b.run(format!("ALTER TABLE {shadow} OWNER TO {owner}")).await?;
    identities(b).await?;
    checks(b).await?;
    let oid = b.source.oid;
    columns(b, oid, &shadow).await?;
    indexes(b, oid, &shadow).await?;
    comments(b, oid, &shadow, "TABLE").await?;
    grants(b, "TABLE", &original, &shadow).await?;
    match b.source.identity.as_str() {
        "f" => b.run(format!("ALTER TABLE {shadow} REPLICA IDENTITY FULL")).await?,
        "n" => b.run(format!("ALTER TABLE {shadow} REPLICA IDENTITY NOTHING")).await?,
        _ => {}
    }
    if b.source.family.is_heir() {
        inherited::compare(b).await?;
    }
    Ok(())
}

/// To alter a table where it is takes no right on its tablespace; to make one there does.
async fn tablespaces(b: &mut Builder<'_>) -> Result<()> {
    let sql = format!(
        "SELECT DISTINCT quote_ident(ts.spcname), quote_ident(current_user) FROM pg_class c \
         JOIN pg_tablespace ts ON ts.oid = c.reltablespace \
         WHERE (c.oid = {oid} OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = {oid})) \
           AND NOT has_tablespace_privilege(ts.oid, 'CREATE') ORDER BY 1",
        oid = b.source.oid
    );
    let Some(row) = b.session.first(&sql).await? else { return Ok(()) };
    let (name, account) = (text_at(&row, 0).unwrap_or_default(), text_at(&row, 1).unwrap_or_default());
    Err(b
        .refused(&format!("it, or an index of it, is in the tablespace {name}, and osc may not create anything there"))
        .todo(format!("For the time of the change: GRANT CREATE ON TABLESPACE {name} TO {account}.")))
}

/// The sequences of identity columns, each with its column, on the source and on the shadow.
///
/// LIKE names them anew and makes them bigint whatever they were; an ALTER of the column's type then leaves the
/// old type's MAXVALUE (seen: trap 8). So they get their type first.
async fn identities(b: &mut Builder<'_>) -> Result<()> {
    let sql = format!(
        "SELECT s.relname, format_type(q.seqtypid, -1), m.relname, s.oid FROM pg_attribute a \
         JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum \
           AND d.classid = 'pg_class'::regclass AND d.deptype = 'i' \
         JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid \
         JOIN pg_class m ON m.oid = pg_get_serial_sequence({}, a.attname)::regclass \
         WHERE a.attrelid = {} AND a.attidentity <> '' ORDER BY a.attnum",
        text(&b.names.shadow.to_string()),
        b.source.oid
    );
    let rows = b.session.rows(&sql).await?;
    let schema = b.names.shadow.schema.clone();
    let mut renamed = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let (name, made) = (name_at(row, 0), name_at(row, 2));
        if name != made {
            // By way of a name of our own: what LIKE calls one may be what the source calls another.
            let between = Ident::new(format!("osc_sequence_{number}"));
            b.run(format!("ALTER SEQUENCE {schema}.{made} RENAME TO {between}")).await?;
            renamed.push(format!("ALTER SEQUENCE {schema}.{between} RENAME TO {name}"));
        }
    }
    for statement in renamed {
        b.run(statement).await?;
    }
    for row in rows {
        let (name, kind) = (name_at(&row, 0), text_at(&row, 1).unwrap_or_default());
        let schema = schema.clone();
        b.run(format!("ALTER SEQUENCE {schema}.{name} AS {kind}")).await?;
        let (from, to) =
            (Table { schema: b.names.original.schema.clone(), name: name.clone() }, Table { schema, name });
        if let Some(comment) =
            b.session.value(&format!("SELECT obj_description({}, 'pg_class')", from.regclass())).await?
        {
            b.run(format!("COMMENT ON SEQUENCE {to} IS {}", text(&comment))).await?;
        }
        grants(b, "SEQUENCE", &from, &to).await?;
    }
    Ok(())
}

/// LIKE makes every CHECK valid, and then old rows that do not meet one could not be copied.
async fn checks(b: &mut Builder<'_>) -> Result<()> {
    let sql = format!(
        "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = {} AND contype IN ('c', 'n') \
         AND NOT convalidated AND coalesce(to_jsonb(pg_constraint)->>'conenforced', 'true') = 'true' ORDER BY conname",
        b.source.oid
    );
    for row in b.session.rows(&sql).await? {
        let (name, definition) = (name_at(&row, 0), text_at(&row, 2).unwrap_or_default());
        if row.get(1) == Some("n") {
            return Err(b.refused(&format!("its NOT NULL constraint {} is NOT VALID; validate it first", name.bare())));
        }
        let shadow = b.shadow().clone();
        b.run(format!("ALTER TABLE {shadow} DROP CONSTRAINT {name}")).await?;
        b.run(format!("ALTER TABLE {shadow} ADD CONSTRAINT {name} {definition}")).await?;
    }
    Ok(())
}

/// What LIKE leaves out of columns; `shadow` is what is made like the relation of this number, here and below.
pub async fn columns(b: &mut Builder<'_>, oid: u32, shadow: &Table) -> Result<()> {
    let sql = format!(
        "SELECT a.attname, CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END, \
           (SELECT string_agg(quote_ident(o.option_name) || '=' || quote_literal(o.option_value), ', ' ORDER BY o.ordinality) \
            FROM pg_options_to_table(a.attoptions) WITH ORDINALITY o) \
         FROM pg_attribute a WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        oid
    );
    for row in b.session.rows(&sql).await? {
        let name = name_at(&row, 0);
        if let Some(target) = text_at(&row, 1) {
            b.run(format!("ALTER TABLE {shadow} ALTER COLUMN {name} SET STATISTICS {target}")).await?;
        }
        if let Some(options) = text_at(&row, 2) {
            b.run(format!("ALTER TABLE {shadow} ALTER COLUMN {name} SET ({options})")).await?;
        }
    }
    Ok(())
}

/// Indexes, and the constraints that they hold, under their own names.
pub async fn indexes(b: &mut Builder<'_>, oid: u32, shadow: &Table) -> Result<()> {
    let sql = format!(
        "SELECT c.relname, i.indisvalid, pg_get_indexdef(i.indexrelid), \
           'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(c.relname) || ' ON ' \
             || quote_ident(n.nspname) || '.' || quote_ident(t.relname), \
           ts.spcname, i.indisclustered, i.indisreplident, k.conname, k.contype, k.condeferrable, k.condeferred, \
           CASE WHEN i.indisexclusion THEN pg_get_constraintdef(k.oid) END, \
           (SELECT string_agg(quote_ident(o.option_name) || '=' || quote_literal(o.option_value), ', ') \
            FROM pg_options_to_table(c.reloptions) o), \
           (SELECT string_agg(a.attnum || ' SET STATISTICS ' || a.attstattarget, ', ALTER COLUMN ' ORDER BY a.attnum) \
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
         JOIN pg_namespace n ON n.oid = t.relnamespace LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace \
         LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x') \
         WHERE i.indrelid = {} ORDER BY i.indexrelid",
        oid
    );
    for row in b.session.rows(&sql).await? {
        let is = |at: usize| row.get(at) == Some("t");
        let name = name_at(&row, 0);
        if !is(1) {
            b.warnings.push(format!(
                "The index {name} is invalid (a CREATE INDEX CONCURRENTLY that failed?); the new table won't have it."
            ));
            continue;
        }
        let index = Table { schema: shadow.schema.clone(), name: name.clone() };
        b.tablespace(row.get(4)).await?;
        let constraint = text_at(&row, 7).map(Ident::new);
        if let (Some(definition), Some(constraint)) = (text_at(&row, 11), &constraint) {
            b.run(format!("ALTER TABLE {shadow} ADD CONSTRAINT {constraint} {definition}")).await?;
            if let Some(options) = text_at(&row, 12) {
                b.run(format!("ALTER INDEX {index} SET ({options})")).await?;
            }
        } else {
            let (definition, prefix) = (text_at(&row, 2).unwrap_or_default(), text_at(&row, 3).unwrap_or_default());
            let rest = definition
                .strip_prefix(&prefix)
                .ok_or_else(|| b.refused(&format!("the definition of its index {} can't be read", name.bare())))?;
            let unique = if prefix.starts_with("CREATE UNIQUE") { "UNIQUE " } else { "" };
            b.run(format!("CREATE {unique}INDEX {name} ON {shadow}{rest}")).await?;
            if let Some(constraint) = &constraint {
                let kind = if row.get(8) == Some("p") { "PRIMARY KEY" } else { "UNIQUE" };
                let deferred = deferrable(is(9), is(10));
                b.run(format!("ALTER TABLE {shadow} ADD CONSTRAINT {constraint} {kind} USING INDEX {name}{deferred}"))
                    .await?;
            }
        }
        b.tablespace(None).await?;
        if let Some(targets) = text_at(&row, 13) {
            b.run(format!("ALTER INDEX {index} ALTER COLUMN {targets}")).await?;
        }
        if is(5) {
            b.run(format!("ALTER TABLE {shadow} CLUSTER ON {name}")).await?;
        }
        if is(6) {
            b.run(format!("ALTER TABLE {shadow} REPLICA IDENTITY USING INDEX {name}")).await?;
        }
    }
    Ok(())
}

/// How a constraint is deferred, to stand behind its definition.
pub fn deferrable(deferrable: bool, deferred: bool) -> &'static str {
    match (deferrable, deferred) {
        (false, _) => "",
        (true, false) => " DEFERRABLE",
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
    }
}

/// Of the relation, its indexes and constraints; LIKE brings those of columns.
pub async fn comments(b: &mut Builder<'_>, oid: u32, shadow: &Table, kind: &str) -> Result<()> {
    let sql = format!(
        "SELECT 'TABLE', NULL, obj_description({oid}, 'pg_class') \
         UNION ALL SELECT 'INDEX', c.relname, obj_description(c.oid, 'pg_class') \
           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {oid} AND i.indisvalid \
         UNION ALL SELECT 'CONSTRAINT', k.conname, obj_description(k.oid, 'pg_constraint') \
           FROM pg_constraint k WHERE k.conrelid = {oid} AND k.contype IN ('c', 'n', 'p', 'u', 'x')"
    );
    for row in b.session.rows(&sql).await? {
        let Some(comment) = text_at(&row, 2) else { continue };
        let name = name_at(&row, 1);
        let on = match row.get(0) {
            Some("TABLE") => format!("{kind} {shadow}"),
            Some("INDEX") => format!("INDEX {}.{name}", shadow.schema),
            _ => format!("CONSTRAINT {name} ON {shadow}"),
        };
        b.run(format!("COMMENT ON {on} IS {}", text(&comment))).await?;
    }
    Ok(())
}

/// Of columns, where LIKE does not bring them.
pub async fn column_comments(b: &mut Builder<'_>, oid: u32, shadow: &Table) -> Result<()> {
    let sql = format!(
        "SELECT a.attname, d.description FROM pg_attribute a JOIN pg_description d ON d.classoid = 'pg_class'::regclass \
           AND d.objoid = a.attrelid AND d.objsubid = a.attnum WHERE a.attrelid = {oid} AND NOT a.attisdropped ORDER BY a.attnum"
    );
    for row in b.session.rows(&sql).await? {
        let (name, comment) = (name_at(&row, 0), text_at(&row, 1).unwrap_or_default());
        b.run(format!("COMMENT ON COLUMN {shadow}.{name} IS {}", text(&comment))).await?;
    }
    Ok(())
}

/// Gives `to` exactly the grants of `from`, whatever default privileges have given it. `kind` is TABLE or SEQUENCE.
pub async fn grants(b: &mut Builder<'_>, kind: &str, from: &Table, to: &Table) -> Result<()> {
    let (source, made) = (from.regclass(), to.regclass());
    let grantee = "CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END";
    let given = format!(
        "SELECT DISTINCT {grantee} FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = {made} \
         UNION SELECT quote_ident(pg_get_userbyid(c.relowner)) FROM pg_class c WHERE c.oid = {made} AND \
           (SELECT relacl FROM pg_class WHERE oid = {source}) IS DISTINCT FROM c.relacl"
    );
    for row in b.session.rows(&given).await? {
        let whom = text_at(&row, 0).unwrap_or_default();
        b.run(format!("REVOKE ALL ON {kind} {to} FROM {whom}")).await?;
    }
    let wanted = format!(
        "SELECT {grantee}, x.privilege_type, x.is_grantable, '', x.grantor = c.relowner, pg_get_userbyid(x.grantor) \
           FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, c.relowner))) x \
           WHERE c.oid = {source} AND (c.relacl IS NOT NULL OR (SELECT relacl FROM pg_class WHERE oid = {made}) IS NOT NULL) \
         UNION ALL SELECT {grantee}, x.privilege_type, x.is_grantable, quote_ident(a.attname), x.grantor = c.relowner, \
             pg_get_userbyid(x.grantor) \
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped, aclexplode(a.attacl) x \
           WHERE c.oid = {source}"
    );
    for row in b.session.rows(&wanted).await? {
        let (whom, what) = (text_at(&row, 0).unwrap_or_default(), text_at(&row, 1).unwrap_or_default());
        if row.get(4) != Some("t") {
            return Err(b.refused(&format!(
                "{} granted rights on {} to {whom}; osc can't grant in another's name",
                text_at(&row, 5).unwrap_or_default(),
                from.bare()
            )));
        }
        let option = if row.get(2) == Some("t") && !is_owner(b, &whom) { " WITH GRANT OPTION" } else { "" };
        let column = text_at(&row, 3).filter(|c| !c.is_empty()).map_or_else(String::new, |c| format!(" ({c})"));
        b.run(format!("GRANT {what}{column} ON {kind} {to} TO {whom}{option}")).await?;
    }
    Ok(())
}

fn is_owner(b: &Builder<'_>, quoted: &str) -> bool {
    quoted == b.source.owner.bare() || quoted == b.source.owner.to_string()
}

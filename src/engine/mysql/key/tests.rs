use super::*;
use mysql_async::Value as Field;

fn column(name: &str, position: usize, kind: Kind, descending: bool) -> KeyColumn {
    KeyColumn {
        name: Ident::new(name),
        position,
        kind: kind.clone(),
        descending,
        shadow_name: Ident::new(format!("new_{name}")),
        shadow_kind: kind,
    }
}

fn spec(columns: Vec<KeyColumn>) -> KeySpec {
    KeySpec {
        index: Ident::new("PRIMARY"),
        shadow_index: Ident::new("PRIMARY"),
        shadow_unique: true,
        positions: columns.iter().map(|c| c.position).collect(),
        columns,
        order: KeyOrder::Bytes,
        table_columns: 5,
    }
}

fn key(spec: &KeySpec, fields: &[Field]) -> Key {
    let values: Vec<BinlogValue<'_>> = fields.iter().cloned().map(BinlogValue::Value).collect();
    spec.encode(&values.iter().collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_key_becomes_sql_on_both_sides() {
    let text = Kind::Text { charset: "utf8mb4".into(), collation: String::new(), chars: 9, fixed: false };
    let spec = spec(vec![
        column("region", 3, text, false),
        column("at", 0, Kind::DateTime { fsp: 0 }, true),
        column("id", 1, Kind::Int { width: 8, unsigned: true }, false),
    ]);
    let k = key(&spec, &[Field::Bytes(b"e\0u".to_vec()), Field::Date(2024, 1, 2, 3, 4, 5, 0), Field::Int(-1)]);
    assert_eq!(spec.columns(), [3, 0, 1]);
    assert_eq!(
        spec.where_keys(Side::Shadow, std::slice::from_ref(&k)).unwrap(),
        "(`new_region`, `new_at`, `new_id`) IN ((_utf8mb4 x'650075', '2024-01-02 03:04:05', 18446744073709551615))"
    );
    assert_eq!(spec.select_list(), "HEX(`region`), `at`, `id`");
    assert_eq!(spec.order_by(Side::Source), "`region`, `at` DESC, `id`");
    assert_eq!(spec.order_by_reversed(Side::Shadow), "`new_region` DESC, `new_at`, `new_id` DESC");
    let plain = key(&spec, &[Field::Bytes(b"eu".to_vec()), Field::Date(2024, 1, 2, 3, 4, 5, 0), Field::Int(7)]);
    assert_eq!(spec.describe(&plain), "region='eu', at='2024-01-02 03:04:05', id=7");
    assert!(spec.where_keys(Side::Source, &[Key::new(&[1, 2, 3])]).is_err());
}

#[test]
fn descending_columns_turn_the_order_of_bytes() {
    let spec = spec(vec![
        column("a", 0, Kind::Int { width: 1, unsigned: false }, true),
        column("b", 1, Kind::VarBinary { len: 9 }, true),
    ]);
    let k = |a: i64, b: &[u8]| key(&spec, &[Field::Int(a), Field::Bytes(b.to_vec())]);
    let sorted = [k(1, b"x"), k(1, b"a\0b"), k(1, b"a"), k(1, b""), k(0, b"z"), k(-1, b"z")];
    assert!(sorted.is_sorted_by(|x, y| x < y));
    assert_eq!(spec.where_keys(Side::Source, &sorted[1..2]).unwrap(), "(`a`, `b`) IN ((1, x'610062'))");
    let range = Range { after: Some(k(1, b"x")), upto: Some(k(0, b"y")) };
    assert_eq!(
        spec.where_range(Side::Source, &range).unwrap(),
        "`a` <= 1 AND ((`a` < 1) OR (`a` = 1 AND `b` < x'78')) AND `a` >= 0 AND ((`a` > 0) OR (`a` = 0 AND `b` >= x'79'))"
    );
}

#[test]
fn a_spec_is_stored_with_the_run() {
    let spec = spec(vec![column("a", 0, Kind::Decimal { precision: 5, scale: 2 }, false)]);
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<KeySpec>(&text).unwrap(), spec);
}

#[test]
fn random_bytes_never_panic() {
    let spec = spec(vec![
        column("a", 0, Kind::VarBinary { len: 9 }, true),
        column("b", 1, Kind::Decimal { precision: 7, scale: 3 }, false),
        column("c", 2, Kind::DateTime { fsp: 6 }, false),
        column("d", 3, Kind::Timestamp { fsp: 6 }, true),
        column("e", 4, Kind::Time { fsp: 6 }, false),
    ]);
    let mut state = 3u64;
    for _ in 0..5_000 {
        let bytes: Vec<u8> = (0..40)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                ((state >> 40) as u8) & if state & 3 == 0 { 0xff } else { 0 }
            })
            .collect();
        for len in 0..40 {
            let key = Key::new(&bytes[..len]);
            let _ = spec.describe(&key);
            let _ = spec.where_keys(Side::Source, std::slice::from_ref(&key));
        }
    }
}

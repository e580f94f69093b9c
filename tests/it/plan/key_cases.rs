//! The keys that [`super::key_types`] tries.

/// A key: the columns, the definition of the key, an ALTER, and rows in the order of the key.
pub struct Case {
    pub name: &'static str,
    pub columns: &'static str,
    pub key: &'static str,
    pub alter: &'static str,
    pub rows: &'static [&'static str],
}

const fn case(
    name: &'static str,
    columns: &'static str,
    key: &'static str,
    alter: &'static str,
    rows: &'static [&'static str],
) -> Case {
    Case { name, columns, key, alter, rows }
}

/// An ALTER that leaves the key alone.
const ADD: &str = "ADD x INT";

#[rustfmt::skip]
pub const NUMBERS: &[Case] = &[
    case("i1", "k TINYINT NOT NULL", "k", "MODIFY k BIGINT NOT NULL", &["-128", "-1", "0", "1", "127"]),
    case("u1", "k TINYINT UNSIGNED NOT NULL", "k", "MODIFY k INT NOT NULL", &["0", "1", "127", "128", "255"]),
    case("i2", "k SMALLINT NOT NULL", "k", "CHANGE k kk INT NOT NULL", &["-32768", "-1", "0", "32767"]),
    case("u2", "k SMALLINT UNSIGNED ZEROFILL NOT NULL", "k", ADD, &["0", "1", "32768", "65535"]),
    case("i3", "k MEDIUMINT NOT NULL", "k", "MODIFY k DECIMAL(10,2) NOT NULL", &["-8388608", "-1", "0", "1", "8388607"]),
    case("u3", "k MEDIUMINT UNSIGNED NOT NULL", "k", ADD, &["0", "8388607", "8388608", "16777215"]),
    case("i4", "k INT NOT NULL", "k", "RENAME COLUMN k TO `a b``c`", &["-2147483648", "-1", "0", "2147483647"]),
    case("u4", "k INT UNSIGNED NOT NULL", "k", "MODIFY k BIGINT UNSIGNED NOT NULL", &["0", "2147483648", "4294967295"]),
    case("i8", "k BIGINT NOT NULL", "k", ADD, &["-9223372036854775808", "-1", "0", "9223372036854775807"]),
    case("u8", "k BIGINT UNSIGNED NOT NULL", "k", ADD, &["0", "9223372036854775807", "9223372036854775808", "18446744073709551615"]),
    case("decs", "k DECIMAL(65,30) NOT NULL", "k", ADD, &["-99999999999999999999999999999999999.999999999999999999999999999999", "-1.5", "-0.000000000000000000000000000001", "0", "0.1", "1", "99999999999999999999999999999999999.999999999999999999999999999999"]),
    case("dec2", "k DECIMAL(5,2) UNSIGNED NOT NULL", "k", "MODIFY k DECIMAL(9,4) NOT NULL", &["0", "0.01", "0.10", "1", "999.99"]),
    case("dec3", "k DECIMAL(18,9) NOT NULL", "k", ADD, &["-123456789.987654321", "-0.5", "0.000000001", "100000000", "999999999.999999999"]),
    case("bit1", "k BIT(1) NOT NULL", "k", ADD, &["0", "1"]),
    case("bit10", "k BIT(10) NOT NULL", "k", "MODIFY k BIT(20) NOT NULL", &["0", "1", "255", "256", "1023"]),
    case("bit64", "k BIT(64) NOT NULL", "k", ADD, &["0", "9223372036854775808", "18446744073709551615"]),
    case("years", "k YEAR NOT NULL", "k", ADD, &["0", "1901", "1970", "2000", "2155"]),
    case("enums", "k ENUM('z','it''s','a','ü\\\\') NOT NULL", "k", "MODIFY k ENUM('z','it''s','a','ü\\\\','b') NOT NULL", &["1", "2", "3", "4"]),
    case("sets", "k SET('z','y','x') NOT NULL", "k", ADD, &["0", "1", "2", "3", "4", "7"]),
    case("set2", "a INT NOT NULL, k SET('a','b','c','d','e','f','g','h','i','j') NOT NULL", "a, k", ADD, &["1, 0", "1, 513", "1, 1023", "2, 256", "2, 512"]),
];

#[rustfmt::skip]
pub const TIMES: &[Case] = &[
    case("dates", "k DATE NOT NULL", "k", ADD, &["'0001-01-01'", "'1970-01-01'", "'2024-02-29'", "'9999-12-31'"]),
    case("dt0", "k DATETIME NOT NULL", "k", "MODIFY k DATETIME(6) NOT NULL", &["'0001-01-01 00:00:00'", "'2024-02-29 23:59:59'", "'9999-12-31 23:59:59'"]),
    case("dt1", "k DATETIME(1) NOT NULL", "k", ADD, &["'2024-02-29 23:59:59.1'", "'2024-02-29 23:59:59.9'"]),
    case("dt3", "k DATETIME(3) NOT NULL", "k", ADD, &["'2024-02-29 23:59:59.001'", "'2024-02-29 23:59:59.999'"]),
    case("dt6", "k DATETIME(6) NOT NULL", "k", ADD, &["'2024-02-29 23:59:59.000001'", "'2024-02-29 23:59:59.999999'", "'9999-12-31 23:59:59.999999'"]),
    case("ts0", "k TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP", "k", "MODIFY k TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)", &["'1970-01-01 00:00:01'", "'2024-02-29 23:59:59'", "'2038-01-19 03:14:07'"]),
    case("ts2", "k TIMESTAMP(2) NOT NULL DEFAULT CURRENT_TIMESTAMP(2)", "k", ADD, &["'1970-01-01 00:00:01.00'", "'2024-03-31 01:30:00.01'", "'2024-03-31 01:30:00.99'"]),
    case("ts4", "k TIMESTAMP(4) NOT NULL DEFAULT CURRENT_TIMESTAMP(4)", "k", ADD, &["'2024-03-31 01:30:00.0001'", "'2024-03-31 01:30:00.9999'"]),
    case("ts6", "k TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)", "k", ADD, &["'2024-10-27 00:30:00.000001'", "'2024-10-27 01:30:00'", "'2038-01-19 03:14:07.999999'"]),
    case("t0", "k TIME NOT NULL", "k", "MODIFY k TIME(6) NOT NULL", &["'-838:59:59'", "'-00:00:01'", "'00:00:00'", "'00:00:01'", "'838:59:59'"]),
    case("t1", "k TIME(1) NOT NULL", "k", ADD, &["'-12:34:56.7'", "'-00:00:01.0'", "'-00:00:00.1'", "'00:00:00.1'", "'12:34:56.7'"]),
    case("t2", "k TIME(2) NOT NULL", "k", ADD, &["'-838:59:58.99'", "'-00:00:00.01'", "'00:00:00.01'"]),
    case("t3", "k TIME(3) NOT NULL", "k", ADD, &["'-838:59:58.999'", "'-00:00:00.001'", "'00:00:00.001'"]),
    case("t4", "k TIME(4) NOT NULL", "k", ADD, &["'-00:00:01.0001'", "'-00:00:00.9999'", "'00:00:00.0001'"]),
    case("t6", "k TIME(6) NOT NULL", "k", ADD, &["'-838:59:58.999999'", "'-00:00:00.000001'", "'00:00:00'", "'00:00:00.000001'", "'838:59:58.999999'"]),
];

#[rustfmt::skip]
pub const STRINGS: &[Case] = &[
    case("bins", "k BINARY(4) NOT NULL", "k", "MODIFY k BINARY(9) NOT NULL", &["x''", "x'00000001'", "x'20'", "x'61'", "x'6100FF'", "x'62000000'", "x'FFFFFFFF'"]),
    case("uuids", "k BINARY(16) NOT NULL", "k", ADD, &["x'00112233445566778899aabbccddeeff'", "x'ff112233445566778899aabbccddee00'"]),
    case("vbin", "k VARBINARY(300) NOT NULL", "k", "MODIFY k VARBINARY(500) NOT NULL", &["x''", "x'00'", "x'0000'", "x'0001'", "x'20'", "x'61'", "x'6100'", "x'6120'", "x'FF'"]),
    case("c_ascii", "k CHAR(10) CHARACTER SET ascii NOT NULL", "k", ADD, &["''", "'a'", "'b c'"]),
    case("v_latin1", "k VARCHAR(20) CHARACTER SET latin1 NOT NULL", "k", "MODIFY k VARCHAR(99) CHARACTER SET latin1 NOT NULL", &["''", "'a'", "'é'", "'it''s \\\\'", "'ß x'"]),
    case("c_latin1", "k CHAR(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL", "k", "MODIFY k VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL", &["'a'", "'é'"]),
    case("v_utf8", "k VARCHAR(20) CHARACTER SET utf8mb3 NOT NULL", "k", ADD, &["''", "'é'", "'日本'"]),
    case("v_mb4", "k VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL", "k", ADD, &["''", "'a'", "'日本'", "'😀'", "'e😀\\0x'"]),
    case("c_mb4", "k CHAR(250) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL", "k", ADD, &["''", "'a'", "'日本'", "'😀'"]),
    case("v_gbk", "k VARCHAR(20) CHARACTER SET gbk NOT NULL", "k", ADD, &["'a'", "'縗'", "'中'"]),
    case("v_sjis", "k VARCHAR(20) CHARACTER SET sjis NOT NULL", "k", ADD, &["'a'", "'表'", "'ソ'"]),
    case("v_big5", "k VARCHAR(20) CHARACTER SET big5 NOT NULL", "k", ADD, &["'a'", "'功'", "'中'"]),
    case("v_ujis", "k VARCHAR(20) CHARACTER SET ujis NOT NULL", "k", ADD, &["'a'", "'表'"]),
    case("v_ucs2", "k VARCHAR(20) CHARACTER SET ucs2 NOT NULL", "k", ADD, &["''", "'a'", "'日本'"]),
    case("c_ucs2", "k CHAR(20) CHARACTER SET ucs2 NOT NULL", "k", ADD, &["''", "'a'", "'日 本'"]),
    case("v_utf16", "k VARCHAR(20) CHARACTER SET utf16 NOT NULL", "k", ADD, &["''", "'a'", "'😀'"]),
    case("v_utf16le", "k VARCHAR(20) CHARACTER SET utf16le NOT NULL", "k", ADD, &["''", "'a'", "'😀'"]),
    case("c_utf32", "k CHAR(20) CHARACTER SET utf32 NOT NULL", "k", ADD, &["''", "'a'", "'😀'"]),
    case("v_cp1251", "k VARCHAR(20) CHARACTER SET cp1251 NOT NULL", "k", ADD, &["'ж'", "'я'"]),
];

#[rustfmt::skip]
pub const MIXED: &[Case] = &[
    case("two", "a INT NOT NULL, b VARBINARY(9) NOT NULL", "a, b", ADD, &["-1, 'z'", "0, ''", "0, 'a'", "0, 'a\\0'", "1, ''"]),
    case("three", "a SMALLINT NOT NULL, b DATETIME(3) NOT NULL, c DECIMAL(4,1) NOT NULL", "a, b, c", "CHANGE b a2 DATETIME(6) NOT NULL, ADD b INT", &["-5, '2024-01-01', 9", "1, '2023-01-01', -9.5", "1, '2023-01-01', 9.5", "1, '2023-01-01 00:00:00.001', -9.5", "2, '2020-01-01', 0"]),
    case("enum2", "e ENUM('x','w','v') NOT NULL, id INT NOT NULL", "e, id", ADD, &["1, 5", "1, 6", "2, 1", "3, -4", "3, 0"]),
    case("text2", "t VARCHAR(9) CHARACTER SET utf8mb4 NOT NULL, id INT NOT NULL, l CHAR(3) CHARACTER SET latin1 NOT NULL", "t, id, l", ADD, &["'a', 5, 'x'", "'a', 6, ''", "'b', 1, 'ä'", "'ü', -4, 'y'"]),
    case("setint", "a SET('a','b') NOT NULL, b TIME(3) NOT NULL, c ENUM('x','y') NOT NULL", "a, b, c", ADD, &["0, '-01:00:00', 2", "1, '00:00:00.5', 1", "1, '00:00:00.5', 2", "3, '-00:00:00.5', 1", "3, '10:00:00', 1"]),
    case("u8two", "a BIGINT UNSIGNED NOT NULL, b BIGINT UNSIGNED NOT NULL", "a, b", ADD, &["0, 18446744073709551615", "1, 1", "9223372036854775807, 9223372036854775808", "9223372036854775808, 0", "18446744073709551615, 5"]),
    case("stamps2", "a TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), b DATE NOT NULL, c YEAR NOT NULL", "a, b, c", ADD, &["'2024-01-01 00:00:00.5', '2024-01-01', 0", "'2024-01-01 00:00:00.5', '2024-01-01', 2000", "'2024-01-01 00:00:00.6', '2023-01-01', 1999"]),
    case("bits2", "a BIT(3) NOT NULL, b BIT(64) NOT NULL, c DECIMAL(5,2) NOT NULL", "a, b, c", ADD, &["0, 5, -1.5", "0, 5, 0", "1, 18446744073709551615, -2", "7, 0, 9"]),
    case("chars2", "a CHAR(4) CHARACTER SET ucs2 NOT NULL, b BINARY(3) NOT NULL, c VARCHAR(5) CHARACTER SET gbk NOT NULL", "a, b, c", ADD, &["'a', x'00', '中'", "'a', x'01', '中'", "'b', x'00', ''", "'日', x'ffffff', 'x'"]),
    case("turned", "b INT NOT NULL, a INT NOT NULL", "a, b", "MODIFY b INT NOT NULL AFTER a, ADD x INT FIRST", &["5, 1", "4, 2", "9, 2"]),
];

/// MySQL only: an index with descending columns.
#[rustfmt::skip]
pub const DESCENDING: &[Case] = &[
    case("desc1", "k INT NOT NULL", "k DESC", ADD, &["5", "0", "-5"]),
    case("desc2", "a INT NOT NULL, b VARBINARY(9) NOT NULL", "a, b DESC", ADD, &["1, 'b'", "1, 'a\\0'", "1, 'a'", "2, 'z'", "2, ''"]),
];

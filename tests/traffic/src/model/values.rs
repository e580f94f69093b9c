//! What a column holds, as a function of the token of the write that set it.
//!
//! `fill` builds the same values inside the server (see [`crate::fill`]); these functions say what
//! must be found there afterwards, byte for byte. The text has characters of every UTF-8 length,
//! quotes, backslashes and trailing spaces: what a re-encoding tool gets wrong.

use super::token::Token;

pub(crate) const CUSTOMERS: i64 = 100_003;
/// 2024-01-01 00:00:00 UTC in microseconds: the first moment of the fill rows.
pub(crate) const FILL_EPOCH_US: i64 = 1_704_067_200_000_000;
/// 2020-01-01, and ten years, both in microseconds: live moments, safe for a TIMESTAMP.
const LIVE_EPOCH_US: i64 = 1_577_836_800_000_000;
const LIVE_SPAN_US: u64 = 10 * 365 * 86_400 * 1_000_000;

pub(crate) const STATUSES: [&str; 4] = ["new", "paid", "shipped", "done"];

const NOTES: [&str; 8] = [
    "leave it at the door",
    "trailing spaces   ",
    "Grüße an Zoë, naïve façade",
    "荷物は玄関に置いてください",
    "fragile 🚚📦 \u{1F469}\u{200D}\u{1F680}",
    "quotes ' \" ` and \\ backslash \\' end",
    "line\none\tand\r\ntwo",
    "",
];

/// A well mixed number from a token (splitmix64), so that neighbours share nothing.
fn mix(token: Token, salt: u64) -> u64 {
    let mut z = token.0.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(crate) fn customer(token: Token) -> i64 {
    match token.fill_key() {
        Some(key) => key.wrapping_mul(7919) % CUSTOMERS,
        None => (mix(token, 1) % CUSTOMERS as u64) as i64,
    }
}

pub(crate) fn status(token: Token) -> &'static str {
    match token.fill_key() {
        Some(key) => STATUSES[(key % 4) as usize],
        None => STATUSES[(mix(token, 2) % 4) as usize],
    }
}

/// The amount in cents; live ones may be negative.
pub(crate) fn cents(token: Token) -> i64 {
    match token.fill_key() {
        Some(key) => key.wrapping_mul(31) % 1_000_000,
        None => (mix(token, 3) % 2_000_000) as i64 - 500_000,
    }
}

pub(crate) fn note(token: Token) -> Option<String> {
    match token.fill_key() {
        Some(key) if key % 7 == 0 => None,
        Some(key) => Some(format!("parcel № {key}{}", "·".repeat((key % 20) as usize))),
        None => {
            let pick = mix(token, 4) % 10;
            match NOTES.get(pick as usize) {
                Some(&"") => Some(String::new()),
                Some(text) => Some(format!("{:x} {text}", token.0)),
                None => None,
            }
        }
    }
}

/// Never twice the same, so that a test may put a unique index on it.
pub(crate) fn email(token: Token) -> String {
    match token.fill_key() {
        Some(key) => format!("c{key}@shop.example"),
        None => format!("t{:x}@shop.example", token.0),
    }
}

/// A moment in microseconds since 1970, UTC.
pub(crate) fn moment(token: Token) -> i64 {
    match token.fill_key() {
        Some(key) => FILL_EPOCH_US + (key % 31_536_000) * 1_000_000 + key.wrapping_mul(7) % 1_000_000,
        None => LIVE_EPOCH_US + (mix(token, 5) % LIVE_SPAN_US) as i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_values_are_plain_functions_of_the_key() {
        let t = Token::fill(1001);
        assert_eq!(customer(t), 1001 * 7919 % 100_003);
        assert_eq!(status(t), "paid");
        assert_eq!(cents(t), 31_031);
        assert_eq!(note(t), None);
        assert_eq!(note(Token::fill(1003)).as_deref(), Some("parcel № 1003···"));
        assert_eq!(email(t), "c1001@shop.example");
    }

    #[test]
    fn live_notes_cover_null_empty_and_fit_the_column() {
        let notes: Vec<_> = (1..500).map(|n| note(Token(n))).collect();
        assert!(notes.iter().any(Option::is_none));
        assert!(notes.iter().any(|n| n.as_deref() == Some("")));
        assert!(notes.iter().flatten().all(|n| n.chars().count() <= 120));
        assert!((1..500).all(|n| email(Token(n)).len() <= 80));
    }
}

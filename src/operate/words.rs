//! Numbers and durations as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `740 µs`, `12.3 ms`, `450 ms`, `9.5 s`, `42 s`, `3 m 12 s`, `2 h 05 m`, `3 d 04 h`.
pub fn duration(time: Duration) -> String {
    let (us, ms, s) = (time.as_micros(), time.as_millis(), time.as_secs());
    match s {
        0 if us == 0 => "0 ms".into(),
        0 if us < 1000 => format!("{us} µs"),
        0 if ms < 100 => format!("{:.1} ms", us as f64 / 1000.0),
        0 => format!("{ms} ms"),
        1..10 => format!("{:.1} s", ms as f64 / 1000.0),
        10..60 => format!("{s} s"),
        60..3600 => format!("{} m {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} m", s / 3600, s / 60 % 60),
        _ => format!("{} d {:02} h", s / 86_400, s / 3600 % 24),
    }
}

/// The same for milliseconds that were measured.
pub fn millis(ms: f64) -> String {
    duration(Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let all = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ];
        for (number, text) in all {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let of = |us| duration(Duration::from_micros(us));
        let got = [0, 740, 12_300, 450_000, 9_500_000, 42_000_000, 192_000_000, 7_500_000_000, 273_600_000_000].map(of);
        assert_eq!(got, ["0 ms", "740 µs", "12.3 ms", "450 ms", "9.5 s", "42 s", "3 m 12 s", "2 h 05 m", "3 d 04 h"]);
        assert_eq!(millis(1234.5), "1.2 s");
        assert_eq!(millis(f64::NAN), "0 ms");
    }
}

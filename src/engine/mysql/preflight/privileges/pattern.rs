//! The names of databases in grants, in which `%` and `_` are wildcards and a backslash takes the next
//! character as it is.

/// Whether a name fits.
pub fn like(pattern: &[char], name: &[char], wildcards: bool) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['\\', c, rest @ ..] => name.split_first().is_some_and(|(n, name)| n == c && like(rest, name, wildcards)),
        ['%', rest @ ..] if wildcards => {
            (0..=name.len()).any(|at| name.get(at..).is_some_and(|name| like(rest, name, wildcards)))
        }
        ['_', rest @ ..] if wildcards => name.split_first().is_some_and(|(_, name)| like(rest, name, wildcards)),
        [c, rest @ ..] => name.split_first().is_some_and(|(n, name)| n == c && like(rest, name, wildcards)),
    }
}

/// Where the first wildcard stands, in bytes.
pub fn first_wildcard(pattern: &str) -> usize {
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '%' | '_' => return at,
            _ => {}
        }
    }
    usize::MAX
}

/// Grows with the number of names that fit a pattern.
pub fn fitting(pattern: &str) -> [usize; 3] {
    let (mut letters, mut single, mut many, mut escaped) = (0, 0, 0, false);
    for c in pattern.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '%' if !escaped => many += 1,
            '_' if !escaped => single += 1,
            _ => letters += 1,
        }
        escaped = false;
    }
    match many {
        0 => [0, single, 0],
        _ => [usize::MAX - letters - single, many, single],
    }
}

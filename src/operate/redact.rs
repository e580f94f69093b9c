//! The last line against a password in what osc prints.
//!
//! Passwords travel as `cli::Secret`, which can't be printed, and URLs have theirs taken out when they
//! are read. But a word of the command line may come back in a parser's message before it was read,
//! so every line on its way out passes here too.

use std::borrow::Cow;

const HIDDEN: &str = "***";

/// Hides the password of everything that looks like `scheme://user:password@`.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        // Up to the end of the word, not to the first slash: a password that should have been
        // percent-encoded may contain one, and is a password all the same.
        let word = tail.find(char::is_whitespace).unwrap_or(tail.len());
        rest = match (tail.find(':'), tail[..word].rfind('@')) {
            (Some(colon), Some(end)) if colon < end => {
                changed = true;
                out.push_str(&tail[..=colon]);
                out.push_str(HIDDEN);
                &tail[end..]
            }
            _ => tail,
        };
    }
    if !changed {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_wherever_its_url_stands() {
        let same = ["no url", "db://app@host:3306/shop", "db://host/a:b", "://", "a://b c:d@e"];
        for text in same {
            assert_eq!(scrub(text), text);
        }
        assert_eq!(scrub("db://app:geheim@host/shop"), "db://app:***@host/shop");
        assert_eq!(scrub("'db://app:a@b/c@host/shop' and x"), "'db://app:***@host/shop' and x");
        assert_eq!(scrub("x://a:b@c y://d:e@f"), "x://a:***@c y://d:***@f");
        assert_eq!(scrub("db://:pw@host"), "db://:***@host");
        assert_eq!(scrub("db://app:päß@host"), "db://app:***@host");
    }
}

//! Everything that a preflight has found wrong, told in one error.

use crate::error::{Error, Result};

#[derive(Debug, Default)]
pub struct Problems {
    /// What is wrong, and what to do about it.
    found: Vec<(String, String)>,
}

impl Problems {
    pub fn add(&mut self, what: impl Into<String>, todo: impl Into<String>) {
        self.found.push((what.into(), todo.into()));
    }

    /// The value, if nothing was wrong; otherwise one error with a line for each problem, and a line for
    /// each thing to do.
    pub fn none_but<T>(self, value: T) -> Result<T> {
        if self.found.is_empty() {
            return Ok(value);
        }
        let mut what = Vec::new();
        let mut todo = Vec::new();
        for (sentence, remedy) in self.found {
            what.push(sentence);
            if !todo.contains(&remedy) {
                todo.push(remedy);
            }
        }
        Err(Error::refused(what.join("\n")).table("Nothing was changed.").todo(todo.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn all_problems_are_told_at_once_and_a_remedy_only_once() {
        assert_eq!(Problems::default().none_but(7).unwrap(), 7);
        let mut problems = Problems::default();
        problems.add("A is wrong.", "Do x.");
        problems.add("B is wrong.", "Do y.");
        problems.add("C is wrong.", "Do x.");
        let error = problems.none_but(()).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(error.what(), "A is wrong.\nB is wrong.\nC is wrong.");
        assert_eq!(error.what_to_do(), Some("Do x.\nDo y."));
    }
}

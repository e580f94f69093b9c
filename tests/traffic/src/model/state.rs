//! What the ledger knows of one row: which write set which of its columns.

use super::row::Row;
use super::token::Token;
use super::values;

/// A row as the traffic left it. Each field names the write that a group of columns comes from, so
/// that a row of which half is old does not pass for whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State {
    /// The last write.
    pub token: Token,
    /// Raised by one by the server (`version = version + 1`): a write that was lost shows even when
    /// a later one has covered its token.
    pub version: i64,
    /// status, amount and note.
    pub body: Token,
    pub customer: Token,
    pub email: Token,
    pub created: Token,
    /// updated_at, when the traffic set it; `None` when the server did, at a time we can't know.
    pub updated: Option<Token>,
}

impl State {
    /// As `fill` writes it.
    pub fn filled(key: i64) -> State {
        State::inserted(Token::fill(key), 1).stamped()
    }

    pub fn inserted(token: Token, version: i64) -> State {
        State { token, version, body: token, customer: token, email: token, created: token, updated: None }
    }

    /// The write set updated_at itself.
    pub fn stamped(self) -> State {
        State { updated: Some(self.token), ..self }
    }

    /// Any update: a new token, the next version, and updated_at by the server.
    pub fn touched(self, token: Token) -> State {
        State { token, version: self.version + 1, updated: None, ..self }
    }

    pub fn with_body(self, body: Token) -> State {
        State { body, ..self }
    }

    pub fn with_customer(self, customer: Token) -> State {
        State { customer, ..self }
    }

    pub fn with_email(self, email: Token) -> State {
        State { email, ..self }
    }

    /// The first column in which the row differs from this state, in words.
    pub fn difference(&self, row: &Row) -> Option<String> {
        let differs = |column: &str, expected: &dyn std::fmt::Debug, seen: &dyn std::fmt::Debug| {
            Some(format!("{column} is {seen:?}, expected {expected:?}"))
        };
        if row.token != self.token {
            return Some(format!("token is {}, expected {}", row.token, self.token));
        }
        if row.version != self.version {
            return differs("version", &self.version, &row.version);
        }
        if row.status != values::status(self.body) {
            return differs("status", &values::status(self.body), &row.status);
        }
        if row.cents != values::cents(self.body) {
            return differs("amount (cents)", &values::cents(self.body), &row.cents);
        }
        let note = values::note(self.body);
        if row.note != note {
            return differs("note", &note, &row.note);
        }
        if row.customer != values::customer(self.customer) {
            return differs("customer_id", &values::customer(self.customer), &row.customer);
        }
        let email = values::email(self.email);
        if row.email != email {
            return differs("email", &email, &row.email);
        }
        if row.created_us != values::moment(self.created) {
            return differs("created_at (us)", &values::moment(self.created), &row.created_us);
        }
        match self.updated {
            Some(by) if row.updated_us != values::moment(by) => {
                differs("updated_at (us)", &values::moment(by), &row.updated_us)
            }
            _ => None,
        }
    }

    /// The row that this state stands for; a server-set updated_at is given as 0.
    #[cfg(test)]
    pub fn to_row(self, key: i64) -> Row {
        Row {
            key,
            customer: values::customer(self.customer),
            status: values::status(self.body),
            cents: values::cents(self.body),
            note: values::note(self.body),
            email: values::email(self.email),
            created_us: values::moment(self.created),
            updated_us: self.updated.map_or(0, values::moment),
            version: self.version,
            token: self.token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_counts() {
        let state = State::filled(1003);
        let row = state.to_row(1003);
        assert_eq!(state.difference(&row), None);
        let broken: [fn(&mut Row); 9] = [
            |r| r.token = Token(1),
            |r| r.version -= 1,
            |r| r.status = "new",
            |r| r.cents += 1,
            |r| r.note = None,
            |r| r.customer += 1,
            |r| r.email.push(' '),
            |r| r.created_us += 1,
            |r| r.updated_us += 1,
        ];
        for (n, spoil) in broken.iter().enumerate() {
            let mut row = row.clone();
            spoil(&mut row);
            assert!(state.difference(&row).is_some(), "column group {n} is not compared");
        }
    }

    #[test]
    fn updates_keep_what_they_do_not_set() {
        let state = State::filled(1003).touched(Token(5)).with_body(Token(5));
        let row = state.to_row(1003);
        assert_eq!(row.email, "c1003@shop.example");
        assert_eq!(row.version, 2);
        assert_eq!(state.difference(&row), None);
    }
}

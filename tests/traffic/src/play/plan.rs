//! Statements that change rows: what to send, and what the table holds once it is committed.

use rand::Rng;
use rand::rngs::StdRng;

use super::pick;
use crate::config::Dml;
use crate::kind::Kind;
use crate::model::state::State;
use crate::model::token::{Mint, Token};
use crate::model::values;
use crate::record::book::{Book, Known};
use crate::record::draft::{Draft, Entry};
use crate::server::{Cell, Dialect, Statements};

/// A statement, and what its acknowledgement means.
pub(crate) struct Planned {
    pub kind: Kind,
    pub sql: fn(&Statements) -> &str,
    pub args: Vec<Cell>,
    pub changes: Vec<(i64, Entry)>,
    /// A row whose key the server chooses.
    pub generated: Option<State>,
    /// The number of affected rows if the table is as the ledger says.
    pub affected: u64,
}

/// What planning needs of a connection.
pub(crate) struct Planner<'a> {
    pub book: &'a mut Book,
    pub rng: &'a mut StdRng,
    pub mint: &'a Mint,
    pub draft: &'a Draft,
    pub dialect: Dialect,
}

impl Planner<'_> {
    /// Plans the statement; where no fitting key is found, an INSERT instead.
    pub fn plan(&mut self, dml: Dml) -> Planned {
        let planned = match dml {
            Dml::Insert => None,
            Dml::InsertExplicit => self.insert_explicit(),
            Dml::Update => self.update(),
            Dml::UpdateSecondary => self.update_customer(),
            Dml::UpdateKey => self.update_key(),
            Dml::UpdateKeyAndEmail => self.update_key_and_email(),
            Dml::UpdateMany => self.update_three(),
            Dml::Upsert => self.upsert(),
            Dml::Replace => self.replace(),
            Dml::Delete => self.delete(),
        };
        planned.unwrap_or_else(|| self.insert())
    }

    fn present(&mut self) -> Option<(i64, State)> {
        pick::present(self.book, self.rng, self.draft, &[])
    }

    fn vacant(&mut self) -> Option<i64> {
        pick::vacant(self.book, self.rng, self.draft)
    }

    fn insert(&mut self) -> Planned {
        let token = self.mint.draw();
        let mut args = full(0, &State::inserted(token, 1));
        args.remove(7);
        args.remove(0);
        Planned {
            kind: Kind::Insert,
            sql: |s| &s.insert,
            args,
            changes: Vec::new(),
            generated: Some(State::inserted(token, 1)),
            affected: 1,
        }
    }

    fn insert_explicit(&mut self) -> Option<Planned> {
        let key = self.vacant()?;
        let state = State::inserted(self.mint.draw(), 1).stamped();
        Some(one(Kind::InsertExplicit, |s| &s.insert_explicit, full(key, &state), key, Entry::Present(state)))
    }

    fn update(&mut self) -> Option<Planned> {
        let (key, old) = self.present()?;
        let token = self.mint.draw();
        let new = old.touched(token).with_body(token).stamped();
        let mut args = body(token);
        args.extend([Cell::Token(token), Cell::Int(key)]);
        Some(one(Kind::Update, |s| &s.update, args, key, Entry::Present(new)))
    }

    fn update_customer(&mut self) -> Option<Planned> {
        let (key, old) = self.present()?;
        let token = self.mint.draw();
        let new = old.touched(token).with_customer(token).with_email(token);
        let args = vec![
            Cell::Int(values::customer(token)),
            Cell::Text(values::email(token)),
            Cell::Token(token),
            Cell::Int(key),
        ];
        Some(one(Kind::UpdateSecondary, |s| &s.update_customer, args, key, Entry::Present(new)))
    }

    fn update_key(&mut self) -> Option<Planned> {
        let (from, old) = self.present()?;
        let to = self.vacant()?;
        let token = self.mint.draw();
        let args = vec![Cell::Int(to), Cell::Token(token), Cell::Int(from)];
        let mut planned = one(Kind::UpdateKey, |s| &s.update_key, args, to, Entry::Present(old.touched(token)));
        planned.changes.push((from, Entry::Deleted(token)));
        Some(planned)
    }

    fn update_key_and_email(&mut self) -> Option<Planned> {
        let (from, old) = self.present()?;
        let to = self.vacant()?;
        let token = self.mint.draw();
        let new = old.touched(token).with_email(token);
        let args = vec![Cell::Int(to), Cell::Text(values::email(token)), Cell::Token(token), Cell::Int(from)];
        let mut planned = one(Kind::UpdateKey, |s| &s.update_key_email, args, to, Entry::Present(new));
        planned.changes.push((from, Entry::Deleted(token)));
        Some(planned)
    }

    fn update_three(&mut self) -> Option<Planned> {
        let mut keys = Vec::with_capacity(3);
        let mut changes = Vec::with_capacity(3);
        // FIELD() counts from 1.
        let first = self.mint.draw_run(4);
        for n in 1..=3 {
            let (key, old) = pick::present(self.book, self.rng, self.draft, &keys)?;
            keys.push(key);
            changes.push((key, Entry::Present(old.touched(Token(first.0 + n)))));
        }
        let mut args = vec![Cell::Token(first)];
        args.extend(keys.iter().chain(&keys).map(|key| Cell::Int(*key)));
        Some(Planned { kind: Kind::UpdateMany, sql: |s| &s.update_three, args, changes, generated: None, affected: 3 })
    }

    /// On a row half of the time, otherwise on a gap.
    fn upsert(&mut self) -> Option<Planned> {
        let (key, old) = self.row_or_gap()?;
        let token = self.mint.draw();
        let new = match old {
            Some(old) => old.touched(token).with_body(token).stamped(),
            None => State::inserted(token, 1).stamped(),
        };
        let mut args = full(key, &State::inserted(token, 1).stamped());
        args.extend(body(token));
        args.push(Cell::Token(token));
        let planned = one(Kind::Upsert, |s| &s.upsert, args, key, Entry::Present(new));
        Some(Planned { affected: old.map_or(1, |_| self.dialect.replaced()), ..planned })
    }

    fn replace(&mut self) -> Option<Planned> {
        let (key, old) = self.row_or_gap()?;
        let version = old.map_or(1, |old| old.version + 1);
        let state = State::inserted(self.mint.draw(), version).stamped();
        let planned = one(Kind::Replace, |s| &s.replace, full(key, &state), key, Entry::Present(state));
        Some(Planned { affected: old.map_or(1, |_| self.dialect.replaced()), ..planned })
    }

    fn row_or_gap(&mut self) -> Option<(i64, Option<State>)> {
        if self.rng.random_bool(0.5) {
            self.present().map(|(key, old)| (key, Some(old)))
        } else {
            self.vacant().map(|key| (key, None))
        }
    }

    fn delete(&mut self) -> Option<Planned> {
        let (key, _) = self.present()?;
        let gone = Entry::Deleted(self.mint.draw());
        Some(one(Kind::Delete, |s| &s.delete, vec![Cell::Int(key)], key, gone))
    }

    /// Two rows, and the three updates that exchange their e-mail addresses: the first takes one
    /// that nobody has, so that a unique index never sees a value twice.
    pub fn swap(&mut self) -> Option<[i64; 2]> {
        let (a, _) = self.present()?;
        let (b, _) = pick::present(self.book, self.rng, self.draft, &[a])?;
        Some([a, b])
    }

    /// Gives the row the e-mail address that write `email` made; a fresh one without.
    pub fn set_email(&mut self, key: i64, email: Option<Token>) -> Option<Planned> {
        let Known::Present(old) = self.book.look(self.draft, key) else { return None };
        let token = self.mint.draw();
        let email = email.unwrap_or(token);
        let new = old.touched(token).with_email(email);
        let args = vec![Cell::Text(values::email(email)), Cell::Token(token), Cell::Int(key)];
        Some(one(Kind::UpdateSecondary, |s| &s.update_email, args, key, Entry::Present(new)))
    }
}

fn one(kind: Kind, sql: fn(&Statements) -> &str, args: Vec<Cell>, key: i64, entry: Entry) -> Planned {
    Planned { kind, sql, args, changes: vec![(key, entry)], generated: None, affected: 1 }
}

/// status, amount, note and updated_at of a write.
fn body(token: Token) -> Vec<Cell> {
    vec![
        Cell::status(values::status(token)),
        Cell::Cents(values::cents(token)),
        Cell::note(values::note(token)),
        Cell::Moment(values::moment(token)),
    ]
}

/// All columns of a row in which everything comes from one write.
fn full(key: i64, state: &State) -> Vec<Cell> {
    let token = state.token;
    vec![
        Cell::Int(key),
        Cell::Int(values::customer(token)),
        Cell::status(values::status(token)),
        Cell::Cents(values::cents(token)),
        Cell::note(values::note(token)),
        Cell::Text(values::email(token)),
        Cell::Moment(values::moment(token)),
        Cell::Moment(values::moment(token)),
        Cell::Int(state.version),
        Cell::Token(token),
    ]
}

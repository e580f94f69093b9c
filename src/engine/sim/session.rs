//! A client's connection: statements that it sends, answers that it gets or does not.
//!
//! A call runs as a task of the server. When the connection breaks, or the client's future is dropped
//! (a crash), the task does not vanish: either the server notices at its next step and rolls back, or
//! the task is a **zombie** that runs to its end, slower than before, and may commit later. An answer
//! can get lost after everything was done.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::dice::{Dice, Span, sleep_ms};
use super::faults::{Faults, Risk};
use super::server::Server;
use super::table::Name;
use crate::error::Error;

/// Why a statement or a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The connection broke; whether it was done is unknown.
    Lost,
    Deadlock,
    LockTimeout,
    /// The session was killed.
    Killed,
    /// A unique value is held by another row.
    Duplicate {
        value: u32,
        holder: u32,
    },
    /// The epoch is not the caller's.
    Epoch(u64),
    NoTable(Name),
    /// A row that the new definition can't hold.
    Unfit(u32),
    /// A value stands twice in one snapshot of the source.
    TrueDuplicate(u32),
    /// Another process went on with the run.
    TakenOver,
    Refused(&'static str),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let what = format!("{failure:?}");
        match failure {
            Failure::NoTable(_) | Failure::Unfit(_) | Failure::TrueDuplicate(_) => Error::definite(what),
            Failure::Duplicate { .. } => Error::definite(what),
            Failure::TakenOver => Error::stopped(what),
            _ => Error::transient(what),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// The server will notice at the next step.
    Down,
    /// Nobody will notice: the call runs to its end.
    Zombie,
}

/// The server's side of a connection.
pub struct Line {
    state: Cell<State>,
    dice: Dice,
    think: Span,
    zombie: Span,
    read: Span,
    hang_pm: u64,
    hang: Span,
}

impl Line {
    fn new(server: &Server) -> Rc<Line> {
        let plan = &server.plan;
        Rc::new(Line {
            state: Cell::new(State::Up),
            dice: server.dice.clone(),
            think: plan.step,
            zombie: plan.zombie_step,
            read: Span(0, plan.read.1 / 2),
            hang_pm: plan.hang_pm,
            hang: plan.hang,
        })
    }

    pub fn is_zombie(&self) -> bool {
        self.state.get() == State::Zombie
    }

    /// In the middle of a statement, where nobody looks whether the client is still there.
    pub async fn busy(&self) {
        self.dice.pause(self.read).await;
        if self.dice.chance(self.hang_pm) {
            self.dice.pause(self.hang).await;
        }
        if self.is_zombie() {
            self.dice.pause(self.zombie).await;
        }
    }

    /// Between two statements, or two looks at the connection: takes time, and ends a call whose
    /// client is known to be gone.
    pub async fn step(&self) -> Result<(), Failure> {
        if self.state.get() == State::Zombie {
            self.dice.pause(self.zombie).await;
        } else {
            self.dice.pause(self.think).await;
        }
        if self.state.get() == State::Down { Err(Failure::Lost) } else { Ok(()) }
    }
}

/// Hangs up when dropped: the connection broke, or the process is gone.
struct HangUp<'a> {
    line: Rc<Line>,
    server: &'a Server,
    armed: bool,
}

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        if self.armed {
            let zombie = self.server.dice.chance(self.server.plan.zombie_pm);
            self.line.state.set(if zombie { State::Zombie } else { State::Down });
            if zombie {
                self.server.count(|c| c.zombies += 1);
            }
        }
    }
}

/// Runs a call on the server, with everything that can go wrong on the way.
pub async fn call<T: 'static, F>(
    server: &Rc<Server>,
    faults: &Faults,
    program: impl FnOnce(Rc<Line>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>> + 'static,
{
    risky(server, faults, Risk::Usual, program).await
}

/// The same, of so much danger.
pub async fn risky<T: 'static, F>(
    server: &Rc<Server>,
    faults: &Faults,
    risk: Risk,
    program: impl FnOnce(Rc<Line>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>> + 'static,
{
    faults.step().await;
    let line = Line::new(server);
    let (answer, mut answered) = oneshot::channel();
    let program = program(line.clone());
    tokio::task::spawn_local(async move {
        let _ = answer.send(program.await);
    });
    let mut hang_up = HangUp { line, server, armed: true };
    let answer = match faults.cut(risk) {
        None => answered.await,
        Some(after) => {
            tokio::select! {
                biased;
                answer = &mut answered => answer,
                () = sleep_ms(after) => {
                    server.count(|c| c.cuts += 1);
                    return Err(Failure::Lost);
                }
            }
        }
    };
    hang_up.armed = false;
    let result = answer.unwrap_or(Err(Failure::Lost));
    server.dice.pause(server.plan.reply).await;
    if faults.lose_reply() {
        if result.is_ok() {
            server.count(|c| c.lost_acks += 1);
        }
        return Err(Failure::Lost);
    }
    faults.step().await;
    result
}

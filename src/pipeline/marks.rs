//! When to put the next mark into the stream, and what the marks tell.
//!
//! One mark is under way at a time. Its commit time is what the application's own commits feel; the
//! time until it comes out of the stream is the lag. Tokens grow, so "this mark and all before it".

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Token;

#[derive(Debug)]
pub struct Marks {
    every: Duration,
    next: u64,
    due: Instant,
    hurried: bool,
    /// Since when.
    under_way: Option<Instant>,
    /// Marks that did not come out yet, oldest first. The feed's delivery and the return of the
    /// mark's commit race; both orders are fine.
    unseen: VecDeque<(Token, Instant)>,
    seen: Option<Token>,
    round_trip: Duration,
}

impl Marks {
    pub fn new(every: Duration) -> Self {
        Marks {
            every,
            next: 1,
            due: Instant::now(),
            hurried: false,
            under_way: None,
            unseen: VecDeque::new(),
            seen: None,
            round_trip: Duration::ZERO,
        }
    }

    /// The next mark to send, when it's time.
    pub fn send(&mut self, now: Instant) -> Option<Token> {
        if self.under_way.is_some() || now < self.due {
            return None;
        }
        let token = Token(self.next);
        self.next += 1;
        self.under_way = Some(now);
        self.hurried = false;
        self.unseen.push_back((token, now));
        // A stream that is far behind gets no more than this many marks to remember.
        if self.unseen.len() > 4096 {
            self.unseen.remove(1);
        }
        Some(token)
    }

    /// For how long the mark under way has waited for its commit.
    pub fn waiting(&self, now: Instant) -> Duration {
        self.under_way.map_or(Duration::ZERO, |sent| now - sent)
    }

    /// The mark's commit returned, or failed; either way the next one may go.
    pub fn returned(&mut self, now: Instant) {
        self.under_way = None;
        self.due = if self.hurried { now } else { now + self.every };
    }

    /// The next mark goes out at once, or as soon as the one under way has returned: the fence waits
    /// for a mark that was **sent** after its lock was granted.
    pub fn hurry(&mut self, now: Instant) -> Token {
        self.due = now;
        self.hurried = true;
        Token(self.next)
    }

    /// The last mark that was sent, for a rule that a test leaves out.
    pub fn last_sent(&self) -> Token {
        Token(self.next - 1)
    }

    /// A mark came out of the stream.
    pub fn came(&mut self, token: Token, now: Instant) {
        self.seen = self.seen.max(Some(token));
        while let Some((oldest, sent)) = self.unseen.front() {
            if *oldest > token {
                break;
            }
            self.round_trip = now - *sent;
            self.unseen.pop_front();
        }
    }

    /// Whether this mark, or a later one, came out of the stream.
    pub fn passed(&self, token: Token) -> bool {
        self.seen >= Some(token)
    }

    /// Whether any mark of this life came out.
    pub fn any_passed(&self) -> bool {
        self.seen.is_some()
    }

    /// How far the stream is behind: the age of the oldest mark that did not come out, or what the
    /// last one took, whichever is more.
    pub fn lag(&self, now: Instant) -> Duration {
        let waiting = self.unseen.front().map_or(Duration::ZERO, |(_, sent)| now - *sent);
        waiting.max(self.round_trip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marks_measure_the_lag() {
        let mut marks = Marks::new(Duration::from_millis(100));
        let start = Instant::now();
        let first = marks.send(start).unwrap();
        assert_eq!(marks.send(start), None, "one at a time");
        marks.returned(start);
        assert_eq!(marks.send(start), None, "not before it's due");
        assert_eq!(marks.hurry(start), Token(first.0 + 1));
        let second = marks.send(start).unwrap();
        let later = start + Duration::from_millis(70);
        assert_eq!(marks.lag(later), Duration::from_millis(70));
        marks.came(first, later);
        assert!(marks.passed(first) && !marks.passed(second));
        marks.came(second, later);
        assert_eq!(marks.lag(later + Duration::from_secs(9)), Duration::from_millis(70));
    }
}

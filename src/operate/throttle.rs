//! Stub; the real one comes with the command line.
use crate::engine::Pressure;
pub enum Verdict {
    Go,
    Hold(String),
    Abort(String),
}
#[derive(Debug, Default)]
pub struct Throttle {}
impl Throttle {
    pub fn verdict(&mut self) -> Verdict {
        Verdict::Go
    }
    pub fn wants_pressure(&self) -> bool {
        false
    }
    pub fn observe(&mut self, _pressure: Pressure) {}
}

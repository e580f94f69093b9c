//! Stub; the real one comes with the command line.
#[derive(Debug, Default)]
pub struct Control {
    pub stop: std::cell::Cell<bool>,
    pub postpone: std::cell::Cell<bool>,
}
impl Control {
    pub fn stop_requested(&self) -> bool {
        self.stop.get()
    }
    pub fn stop_now(&self) -> bool {
        false
    }
    pub fn postponed(&self) -> bool {
        self.postpone.get()
    }
}

//! What happened, in words with simulated times; costs nothing unless asked for.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::time::Instant;

#[derive(Debug, Clone)]
pub struct Trace {
    began: Instant,
    lines: Option<Rc<RefCell<Vec<String>>>>,
}

impl Trace {
    pub fn new(on: bool) -> Self {
        Trace { began: Instant::now(), lines: on.then(Rc::default) }
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            let at = self.began.elapsed().as_millis();
            let line = format!("{at:>7} ms  {}", what());
            if std::env::var_os("OSC_SIM_LIVE").is_some() {
                println!("{line}");
            }
            lines.borrow_mut().push(line);
        }
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.as_ref().map(|l| l.borrow().clone()).unwrap_or_default()
    }
}

//! What a run is told from outside: stop, and when the cutover may happen.
//!
//! The first SIGINT or SIGTERM asks for an orderly stop: running chunks finish, the place is stored,
//! and the process exits as resumable. The second ends it at once; that is safe too, because
//! progress is stored with the data, and costs no more than the chunks in flight. SIGHUP is left
//! alone: listening for it would undo `nohup`.

use std::path::PathBuf;
use std::rc::Rc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::flag_file::FlagFile;
use crate::error::Error;

/// How urgently the run is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    No,
    /// After the chunks in flight, with the place stored.
    Orderly,
    /// Without waiting for anything.
    AtOnce,
}

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Control {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stop: watch::Sender<Stop>,
    postpone: Option<FlagFile>,
}

impl Control {
    /// `postpone`: while this file exists, the run stays caught up and does not cut over.
    pub fn new(postpone: Option<PathBuf>) -> Self {
        let (stop, _) = watch::channel(Stop::No);
        Control { inner: Rc::new(Inner { stop, postpone: postpone.map(FlagFile::holding) }) }
    }

    pub fn stop(&self) -> Stop {
        *self.inner.stop.borrow()
    }

    /// One more request to stop: orderly first, at once from the second on.
    pub fn ask_to_stop(&self) {
        self.inner.stop.send_modify(|stop| {
            *stop = if *stop == Stop::No { Stop::Orderly } else { Stop::AtOnce };
        });
    }

    /// Asks for an end at once.
    pub fn now(&self) {
        self.inner.stop.send_replace(Stop::AtOnce);
    }

    /// A stop was asked for, orderly or at once.
    pub fn stop_requested(&self) -> bool {
        self.stop() >= Stop::Orderly
    }

    pub fn stop_now(&self) -> bool {
        self.stop() == Stop::AtOnce
    }

    /// Waits until a stop is asked for, of at least this urgency. Cancel-safe.
    pub async fn stopped(&self, at_least: Stop) {
        let mut stop = self.inner.stop.subscribe();
        // The sender lives in `self`, so the channel can't close while this waits.
        let _ = stop.wait_for(|stop| *stop >= at_least).await;
    }

    /// Whether the cutover has to wait for the flag file to go.
    pub fn postponed(&self) -> bool {
        self.inner.postpone.as_ref().is_some_and(FlagFile::is_raised)
    }

    /// The name of the file that postpones the cutover.
    pub fn postpone_flag(&self) -> Option<String> {
        self.inner.postpone.as_ref().map(|f| f.path().display().to_string())
    }
}

/// Turns signals into requests to stop, for as long as it is polled. Returns only when it can't.
pub async fn listen(control: Control) -> Error {
    let (mut interrupt, mut terminate) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(e), _) | (_, Err(e)) => return Error::definite("The process can't listen for signals.").caused_by(e),
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        control.ask_to_stop();
        match control.stop() {
            Stop::Orderly => tracing::info!("stopping: the chunks in flight finish first; once more ends it at once"),
            _ => tracing::info!("stopping at once"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_request_is_the_urgent_one() {
        let control = Control::new(None);
        assert_eq!(control.stop(), Stop::No);
        let told = control.clone();
        told.ask_to_stop();
        control.stopped(Stop::Orderly).await;
        assert_eq!(control.stop(), Stop::Orderly);
        told.ask_to_stop();
        control.stopped(Stop::AtOnce).await;
        told.ask_to_stop();
        assert_eq!(control.stop(), Stop::AtOnce);
    }

    #[tokio::test]
    async fn a_signal_is_a_request() {
        let control = Control::new(None);
        let stopped = async {
            // The listener is polled first, so its handlers are in place when the signal comes.
            tokio::task::yield_now().await;
            let me = std::process::id().to_string();
            let sent = tokio::process::Command::new("kill").args(["-TERM", &me]).status().await.unwrap();
            assert!(sent.success());
            control.stopped(Stop::Orderly).await;
        };
        tokio::select! {
            biased;
            error = listen(control.clone()) => panic!("{error}"),
            () = stopped => {}
        }
        assert!(control.stop_requested() && !control.stop_now());
    }

    #[tokio::test(start_paused = true)]
    async fn the_cutover_waits_for_the_file_to_go() {
        let path = std::env::temp_dir().join(format!("osc-postpone-{}", std::process::id()));
        let control = Control::new(Some(path.clone()));
        std::fs::write(&path, "").unwrap();
        assert!(control.postponed());
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(std::time::Duration::from_millis(100)).await;
        assert!(!control.postponed());
        assert!(!Control::new(None).postponed());
    }
}

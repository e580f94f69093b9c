//! The thread that writes what osc says.
//!
//! A terminal that was stopped with Ctrl-S, or a pager that is not read, blocks whoever writes to it.
//! The core may hold a lock on a busy table at that moment, so it never writes itself: its lines go
//! through a bounded queue to this thread, and are dropped, and counted, when the queue is full.
//! What is said before and after a run waits until it is written.

use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use indicatif::MultiProgress;

const QUEUE: usize = 1024;

#[derive(Clone, Copy)]
pub enum Stream {
    Out,
    Err,
}

enum Order {
    Write(Stream, String),
    /// Answered once everything before it is written.
    Flush(Sender<()>),
}

/// The terminal is one, so what draws on it is one too. Lines go above the bar.
static SCREEN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// None when the thread could not be started: then everybody writes for themselves.
static QUEUE_IN: LazyLock<Option<Sender<Order>>> = LazyLock::new(|| {
    let (sender, receiver) = bounded(QUEUE);
    let thread = std::thread::Builder::new().name("osc-writer".into());
    thread.spawn(move || serve(&receiver)).ok().map(|_| sender)
});

pub fn screen() -> &'static MultiProgress {
    &SCREEN
}

/// Hands a line over without ever waiting.
pub fn post(stream: Stream, text: String) {
    let Some(queue) = &*QUEUE_IN else { return write(stream, &text) };
    if let Err(TrySendError::Full(_)) = queue.try_send(Order::Write(stream, text)) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hands a line over and waits until it, and all before it, is written.
pub fn deliver(stream: Stream, text: String) {
    let Some(queue) = &*QUEUE_IN else { return write(stream, &text) };
    if let Err(refused) = queue.send(Order::Write(stream, text))
        && let Order::Write(stream, text) = refused.0
    {
        return write(stream, &text);
    }
    flush();
}

/// Waits until everything that was handed over is written.
pub fn flush() {
    let Some(queue) = &*QUEUE_IN else { return };
    let (done, answer) = bounded(1);
    if queue.send(Order::Flush(done)).is_ok() {
        let _ = answer.recv();
    }
}

fn serve(orders: &Receiver<Order>) {
    for order in orders {
        match order {
            Order::Write(stream, text) => write(stream, &text),
            Order::Flush(done) => {
                let _ = done.send(());
            }
        }
        match DROPPED.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => write(Stream::Err, &format!("({lost} lines are missing here: standard error was not read)")),
        }
    }
}

/// A reader that went away (`osc alter … | head`) must not end a run that changes a table, so a write
/// that fails is let be; `println!` would panic there.
fn write(stream: Stream, text: &str) {
    SCREEN.suspend(|| {
        let _ = match stream {
            Stream::Out => {
                let mut out = std::io::stdout().lock();
                writeln!(out, "{text}").and_then(|()| out.flush())
            }
            Stream::Err => writeln!(std::io::stderr().lock(), "{text}"),
        };
    });
}

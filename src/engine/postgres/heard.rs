//! Which session the server says that it gave us.
//!
//! At the start of a connection the server names its process (BackendKeyData), and `pg_backend_pid()` says it again
//! from inside. A pooler gives a number of its own for the first; the second is whoever it lent. Behind a pooler nothing
//! of osc's would be true: settings, locks and transactions belong to sessions. The client keeps the number to
//! itself, so it is read from what passes by.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::Boxed;

/// The type byte of the message that names the process.
const BACKEND_KEY_DATA: u8 = b'K';
/// A message's type and its length, which counts itself.
const HEADER: usize = 5;
/// As much of a message as is looked at.
const LOOKED_AT: usize = HEADER + 4;

/// A connection that is listened to until the server has named its process.
pub struct Heard {
    inner: Boxed,
    pid: Arc<AtomicI32>,
    message: Vec<u8>,
    /// Bytes of the message that are not looked at.
    skip: usize,
    done: bool,
}

impl Heard {
    /// The number is 0 until it was heard.
    pub fn new(inner: Boxed) -> (Heard, Arc<AtomicI32>) {
        let pid = Arc::new(AtomicI32::new(0));
        (Heard { inner, pid: pid.clone(), message: Vec::with_capacity(LOOKED_AT), skip: 0, done: false }, pid)
    }

    fn listen(&mut self, mut bytes: &[u8]) {
        while !self.done && !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            (self.skip, bytes) = (self.skip - skipped, &bytes[skipped..]);
            let Some((first, rest)) = bytes.split_first() else { return };
            self.message.push(*first);
            bytes = rest;
            let number = |at: usize| {
                let four = self.message.get(at..at + 4).and_then(|four| four.try_into().ok());
                four.map(i32::from_be_bytes)
            };
            let (Some(kind), Some(length)) = (self.message.first().copied(), number(1)) else { continue };
            let body = usize::try_from(length).unwrap_or(0).saturating_sub(4);
            if kind != BACKEND_KEY_DATA {
                (self.skip, self.done) = (body, length < 4);
                self.message.clear();
            } else if let Some(pid) = number(HEADER) {
                self.pid.store(pid, Ordering::Relaxed);
                self.done = true;
            }
        }
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if !self.done {
            self.listen(buffer.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_heard_however_the_bytes_arrive() {
        let mut bytes = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0];
        bytes.extend([b'S', 0, 0, 0, 9, b'K', 0, b'v', 0, 0]);
        bytes.extend([b'K', 0, 0, 0, 12, 0, 0, 0x30, 0x39, 1, 2, 3, 4]);
        bytes.extend([b'Z', 0, 0, 0, 5, b'I']);
        for step in 1..bytes.len() {
            let (mut heard, pid) = Heard::new(Box::new(tokio::io::empty()));
            bytes.chunks(step).for_each(|part| heard.listen(part));
            assert_eq!(pid.load(Ordering::Relaxed), 12345, "{step}");
        }
        let (mut heard, pid) = Heard::new(Box::new(tokio::io::empty()));
        heard.listen(&[b'E', 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(heard.done && pid.load(Ordering::Relaxed) == 0);
    }
}

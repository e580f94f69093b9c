//! A network that fails: a proxy in front of a server that freezes, cuts, cuts in the middle of a packet, or
//! refuses. Connections are numbered from 1 in the order in which they came.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How often a connection on which nothing passes looks at the mode.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Connections up to this one stay open and nothing passes, as when a cable is cut; later ones pass.
    Frozen(u32),
    /// Connections up to this one are cut; later ones pass.
    Cut(u32),
    /// Connections up to this one are cut after a half of what they send next; later ones pass.
    Half(u32),
    /// All connections are cut and no new one is let in.
    Refuse,
}

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    mode: Mutex<Mode>,
    connections: AtomicU32,
    received: AtomicU64,
    to: Mutex<SocketAddr>,
}

impl State {
    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Begins to listen, on the current runtime.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let mode = Mutex::new(Mode::Pass);
        let state = Arc::new(State {
            mode,
            connections: AtomicU32::new(0),
            received: AtomicU64::new(0),
            to: Mutex::new(server),
        });
        let task = tokio::spawn(accept(listener, state.clone()));
        Proxy { port, state, task }
    }

    pub fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// New connections lead to another server from now on.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.state.to.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// How many bytes came from the server until now.
    pub fn received(&self) -> u64 {
        self.state.received.load(Ordering::SeqCst)
    }

    /// How many connections came until now.
    pub fn connections(&self) -> u32 {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Refuse);
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        if state.mode() == Mode::Refuse {
            continue;
        }
        let number = state.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let to = *state.to.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state.clone();
        tokio::spawn(async move {
            // A server that is down: the client's connection is closed, too.
            let Ok(server) = TcpStream::connect(to).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            // When one direction ends both do.
            tokio::select! {
                () = pump(client_read, server_write, &state, number, false) => {}
                () = pump(server_read, client_write, &state, number, true) => {}
            }
        });
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    state: &State,
    number: u32,
    counted: bool,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => match read { Ok(0) | Err(_) => return, Ok(n) => n },
            () = tokio::time::sleep(LOOK_EVERY) => 0,
        };
        if counted {
            state.received.fetch_add(read as u64, Ordering::SeqCst);
        }
        let mut pass = read;
        let mut last = false;
        match state.mode() {
            Mode::Refuse => return,
            Mode::Cut(upto) if number <= upto => return,
            Mode::Half(upto) if number <= upto && read > 0 => (pass, last) = (read / 2, true),
            Mode::Frozen(upto) if number <= upto => {
                while matches!(state.mode(), Mode::Frozen(upto) if number <= upto) {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
            _ => {}
        }
        if pass > 0 && to.write_all(&buffer[..pass]).await.is_err() || last {
            return;
        }
    }
}

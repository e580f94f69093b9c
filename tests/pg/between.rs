//! What stands between osc and the server, in the clear, and plays a trick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Gives out numbers of sessions of its own, as poolers do.
    OwnNumbers,
    /// Carries the swap's COMMIT to the server, and cuts the connection before the answer comes.
    LoseAnswer,
}

pub struct Between {
    pub port: u16,
    /// How often the trick was played.
    pub played: Arc<AtomicU32>,
}

pub async fn start(server: u16, trick: Trick) -> Between {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let played = Arc::new(AtomicU32::new(0));
    let count = played.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, server, trick, count.clone()));
        }
    });
    Between { port, played }
}

async fn serve(client: TcpStream, port: u16, trick: Trick, played: Arc<AtomicU32>) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = Arc::new(AtomicBool::new(false));
    tokio::select! {
        ended = asked(from_client, to_server, trick, &cut) => ended,
        ended = answered(from_server, to_client, trick, &cut, &played) => ended,
    }
}

/// What the client says.
async fn asked(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, trick: Trick, cut: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut holds = false;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
        // The run's record has the swap's statements in it too.
        holds |= text.contains("ACCESS EXCLUSIVE MODE") && !text.contains("INSERT INTO");
        let last = trick == Trick::LoseAnswer && holds && text.contains("COMMIT");
        cut.fetch_or(last, Ordering::SeqCst);
        to.write_all(&buffer[..read]).await?;
        if last {
            // The server has it, and the time to do it.
            tokio::time::sleep(Duration::from_millis(300)).await;
            return Ok(());
        }
    }
}

/// What the server says, message by message.
async fn answered(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    trick: Trick,
    cut: &AtomicBool,
    played: &AtomicU32,
) -> std::io::Result<()> {
    loop {
        let mut header = [0; 5];
        from.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let mut body = vec![0; length.saturating_sub(4)];
        from.read_exact(&mut body).await?;
        if cut.load(Ordering::SeqCst) {
            played.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        if header[0] == b'K' && trick == Trick::OwnNumbers {
            body[..4].copy_from_slice(&7_654_321_u32.to_be_bytes());
            played.fetch_add(1, Ordering::SeqCst);
        }
        to.write_all(&header).await?;
        to.write_all(&body).await?;
    }
}

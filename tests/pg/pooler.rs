//! What stands between a client and the server and gives out numbers of sessions of its own, as poolers do. In the clear.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens; returns the port.
pub async fn start(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, server));
        }
    });
    port
}

async fn serve(client: TcpStream, port: u16) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    loop {
        let mut header = [0; 5];
        from_server.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let mut body = vec![0; length.saturating_sub(4)];
        from_server.read_exact(&mut body).await?;
        if header[0] == b'K' {
            body[..4].copy_from_slice(&7_654_321_u32.to_be_bytes());
        }
        to_client.write_all(&header).await?;
        to_client.write_all(&body).await?;
    }
}

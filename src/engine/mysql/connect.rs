//! Where the server is and how to get in.

use mysql_async::Conn;

use super::session::sort;
use crate::error::Result;

/// A server's address with credentials and TLS settings. Its `Debug` never shows the password.
#[derive(Clone)]
pub struct Address {
    opts: mysql_async::Opts,
}

impl Address {
    /// Opens a connection.
    pub async fn connect(&self) -> Result<Conn> {
        Conn::new(self.opts.clone()).await.map_err(sort)
    }
}

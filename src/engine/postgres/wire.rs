//! The connection that carries the change stream.
//!
//! Ordinary sessions are tokio-postgres, which speaks no replication. This is the little that is
//! missing: the startup with `replication=database`, START_REPLICATION, and frames after it; signing in
//! (SCRAM) and the messages' bytes are those of `postgres-protocol`, the crate beneath tokio-postgres.
//! The crate pgwire-replication has the same and was tried. It is not used because what makes a feed safe
//! here lies below its interface: the stream goes through the same dialling, TLS and signing in as the
//! sessions; its queue is bounded in bytes, not in events; the answers to the server are made of two
//! messages (see [`Wire::confirm`]); and the server's process number is known, so a pooler is found out.
//!
//! `receive` is cancel-safe: what was read stays in the buffer.

use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{DataRowBody, ErrorFields, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect::{Address, Boxed, options};
use super::lsn::Lsn;
use super::session::{PINNED, kind_of};
use super::sql::{Ident, text};
use crate::error::{Error, Kind, Result};

/// The walsender's own settings. The last one is the server's: what it can't send for so long, because a process stands still
/// and the machine beneath it lives, ends the connection. Without it a server that gives up the slot of such a reader
/// waited for it in its checkpoint for as long as it stood still (seen on 15.18 and 18.6: ten minutes).
const WALSENDER: &[(&str, &str)] = &[("wal_sender_timeout", "60s"), ("tcp_user_timeout", "30s")];
/// A row's message is this large at most in PostgreSQL itself.
const LARGEST: usize = 1 << 30;
/// 2000-01-01 in seconds after 1970-01-01: where the server's clock begins.
const EPOCH_S: u64 = 946_684_800;

pub struct Wire {
    stream: Boxed,
    buffer: BytesMut,
    /// The server's process at the other end.
    pub pid: i32,
    /// Bytes that came from the server.
    pub received_bytes: u64,
}

/// What IDENTIFY_SYSTEM says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    pub server: String,
    pub timeline: u32,
}

/// What comes in the stream.
#[derive(Debug)]
pub enum Frame {
    /// A message of pgoutput.
    Data(Bytes),
    /// The server is alive; `upto` is where its stream stands.
    Alive { upto: Lsn, answer: bool },
}

impl Wire {
    /// Connects and signs in. Has a deadline.
    pub async fn open(address: &Address) -> Result<Wire> {
        match tokio::time::timeout(address.connect_timeout() * 2, Wire::open_patiently(address)).await {
            Ok(result) => result,
            Err(_) => Err(Error::transient(format!("The server at {} did not let osc in.", address.describe()))),
        }
    }

    async fn open_patiently(address: &Address) -> Result<Wire> {
        let stream = address.dial().await?;
        let mut wire = Wire { stream, buffer: BytesMut::new(), pid: 0, received_bytes: 0 };
        let settings: Vec<_> = PINNED.iter().chain(WALSENDER).copied().collect();
        let mut out = BytesMut::new();
        let parameters = [
            ("user", address.user()),
            ("database", address.database()),
            ("replication", "database"),
            ("application_name", "osc"),
            ("client_encoding", "UTF8"),
            ("options", &options(&settings)),
        ];
        frontend::startup_message(parameters, &mut out).map_err(broken)?;
        wire.send(&out).await?;
        wire.sign_in(address).await.map_err(|e| address.explain(e))?;
        let own: i32 = wire
            .query("SELECT pg_catalog.pg_backend_pid()")
            .await?
            .first()
            .and_then(|row| row.first()?.as_deref()?.parse().ok())
            .unwrap_or_default();
        if own != wire.pid {
            return Err(Error::refused(format!(
                "{} is a connection pooler, not the server itself.",
                address.describe()
            ))
            .todo(
                "Give osc a URL that leads to the server: the change stream and locks need a session of their own.",
            ));
        }
        Ok(wire)
    }

    async fn sign_in(&mut self, address: &Address) -> Result<()> {
        let password = || {
            address.password().map(str::as_bytes).ok_or_else(|| {
                Error::refused(format!("The server asks for the password of '{}', and none was given.", address.user()))
            })
        };
        let mut out = BytesMut::new();
        let mut scram = None;
        loop {
            out.clear();
            match self.message().await? {
                Message::AuthenticationOk | Message::ParameterStatus(_) | Message::NoticeResponse(_) => {}
                Message::AuthenticationCleartextPassword => {
                    frontend::password_message(password()?, &mut out).map_err(broken)?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let user = address.user().as_bytes();
                    let hash = postgres_protocol::authentication::md5_hash(user, password()?, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut out).map_err(broken)?;
                }
                Message::AuthenticationSasl(_) => {
                    let begun = ScramSha256::new(password()?, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut out).map_err(broken)?;
                    scram = Some(begun);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let scram = scram.as_mut().ok_or_else(unexpected)?;
                    scram.update(body.data()).map_err(denied)?;
                    frontend::sasl_response(scram.message(), &mut out).map_err(broken)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    scram.as_mut().ok_or_else(unexpected)?.finish(body.data()).map_err(denied)?;
                }
                Message::BackendKeyData(body) => self.pid = body.process_id(),
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => return Err(server_error(body.fields())),
                _ => return Err(unexpected()),
            }
            if !out.is_empty() {
                self.send(&out).await?;
            }
        }
    }

    /// Runs one statement of the replication grammar, or of SQL; its rows as text.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out).map_err(broken)?;
        self.send(&out).await?;
        let (mut rows, mut failed) = (Vec::new(), None);
        loop {
            match self.message().await? {
                Message::DataRow(body) => rows.push(columns(&body)?),
                Message::ErrorResponse(body) => failed = Some(server_error(body.fields())),
                Message::ReadyForQuery(_) => return failed.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    pub async fn identify(&mut self) -> Result<System> {
        let rows = self.query("IDENTIFY_SYSTEM").await?;
        let cell = |at: usize| rows.first().and_then(|row| row.get(at)?.clone());
        let timeline = cell(1).and_then(|t| t.parse().ok()).ok_or_else(unexpected)?;
        Ok(System { server: cell(0).ok_or_else(unexpected)?, timeline })
    }

    /// Begins the stream. Has a deadline, because it waits for as long as another connection has the slot.
    pub async fn start(&mut self, slot: &str, publication: &Ident, from: Lsn) -> Result<()> {
        let names = text(&publication.to_string());
        // Slots have no characters that would need quotes (see `names`).
        let sql = format!(
            "START_REPLICATION SLOT {slot} LOGICAL {from} (proto_version '1', publication_names {names}, messages 'true')"
        );
        let mut out = BytesMut::new();
        frontend::query(&sql, &mut out).map_err(broken)?;
        self.send(&out).await?;
        loop {
            match self.frame().await? {
                (b'W', _) => return Ok(()),
                (b'E', body) => return Err(error_frame(&body)),
                (b'N' | b'S', _) => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// The next frame of the stream. Cancel-safe.
    pub async fn receive(&mut self) -> Result<Frame> {
        loop {
            let (tag, body) = self.frame().await?;
            match tag {
                b'd' => return copy_data(body),
                b'E' => return Err(error_frame(&body)),
                // The server ends the stream when it shuts down.
                b'c' | b'C' => return Err(Error::transient("The server ended the change stream.")),
                b'N' | b'S' => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// Says what was received, and how far the slot may move.
    ///
    /// Two messages, because the server takes `flush` for three things. It moves the slot there; that is
    /// the first message. It waits for it when it shuts down, until it is where its stream ends: ours
    /// stays behind for as long as keys are unsynced, and a server that was asked to stop would hang. And
    /// it counts it as a standby's, for commits that wait for one. So the second message takes it back:
    /// with no flush position the server looks at what was written, and counts us for nothing. It is asked to
    /// answer: a server that has nothing to send says nothing else.
    pub async fn confirm(&mut self, received: Lsn, durable: Option<Lsn>) -> Result<()> {
        let mut out = BytesMut::new();
        if let Some(durable) = durable {
            status(&mut out, received, durable, false)?;
        }
        status(&mut out, received, Lsn(0), true)?;
        self.send(&out).await
    }

    async fn send(&mut self, out: &[u8]) -> Result<()> {
        self.stream.write_all(out).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    async fn message(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.buffer).map_err(broken)? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    /// The next message as its tag and its body.
    async fn frame(&mut self) -> Result<(u8, Bytes)> {
        loop {
            if let Some((tag, rest)) = self.buffer.split_first()
                && let Some(length) = rest.first_chunk::<4>()
            {
                let length = u32::from_be_bytes(*length) as usize;
                if !(4..=LARGEST).contains(&length) {
                    return Err(unexpected());
                }
                if self.buffer.len() > length {
                    let tag = *tag;
                    let mut whole = self.buffer.split_to(length + 1);
                    whole.advance(5);
                    return Ok((tag, whole.freeze()));
                }
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(64 << 10);
        match self.stream.read_buf(&mut self.buffer).await.map_err(broken)? {
            0 => Err(Error::transient("The server closed the connection.")),
            read => {
                self.received_bytes += read as u64;
                Ok(())
            }
        }
    }
}

fn status(out: &mut BytesMut, received: Lsn, durable: Lsn, ask: bool) -> Result<()> {
    let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_S);
    let now = SystemTime::now().duration_since(clock).unwrap_or_default().as_micros();
    let mut body = BytesMut::with_capacity(34);
    body.put_u8(b'r');
    body.put_u64(received.0);
    body.put_u64(durable.0);
    body.put_u64(0);
    body.put_u64(u64::try_from(now).unwrap_or_default());
    body.put_u8(ask.into());
    frontend::CopyData::new(body.freeze()).map_err(broken)?.write(out);
    Ok(())
}

fn copy_data(mut body: Bytes) -> Result<Frame> {
    match body.first() {
        // Kind, where it begins in the log, where the log ends, the clock; then the message.
        Some(b'w') if body.len() >= 25 => {
            body.advance(25);
            Ok(Frame::Data(body))
        }
        Some(b'k') if body.len() >= 18 => {
            body.advance(1);
            let upto = Lsn(body.get_u64());
            body.advance(8);
            Ok(Frame::Alive { upto, answer: body.get_u8() != 0 })
        }
        _ => Err(unexpected()),
    }
}

fn columns(body: &DataRowBody) -> Result<Vec<Option<String>>> {
    use postgres_protocol::message::backend::DataRowRanges;
    let mut out = Vec::new();
    let mut ranges: DataRowRanges<'_> = body.ranges();
    while let Some(range) = fallible_iterator::FallibleIterator::next(&mut ranges).map_err(broken)? {
        let cell = range.and_then(|range| body.buffer().get(range));
        out.push(cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
    }
    Ok(out)
}

/// The server's error, from a frame that was not parsed.
fn error_frame(body: &Bytes) -> Error {
    let mut whole = BytesMut::with_capacity(body.len() + 5);
    whole.put_u8(b'E');
    whole.put_u32(u32::try_from(body.len() + 4).unwrap_or_default());
    whole.extend_from_slice(body);
    match Message::parse(&mut whole) {
        Ok(Some(Message::ErrorResponse(body))) => server_error(body.fields()),
        _ => unexpected(),
    }
}

/// What the server said, with its code kept for whoever has to tell one refusal from another.
#[derive(Debug)]
pub struct Said {
    pub code: String,
    pub message: String,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (error {})", self.message, self.code)
    }
}

impl std::error::Error for Said {}

fn server_error(mut fields: ErrorFields<'_>) -> Error {
    let (mut code, mut message) = (String::new(), String::new());
    while let Ok(Some(field)) = fallible_iterator::FallibleIterator::next(&mut fields) {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = value,
            b'M' => message = value,
            _ => {}
        }
    }
    let said = Said { code, message };
    Error::new(kind_of(&said.code), said.to_string()).caused_by(said)
}

/// The server's error code, when it was the server that ended the stream.
pub fn said(error: &Error) -> Option<&Said> {
    std::error::Error::source(error)?.downcast_ref::<Said>()
}

fn broken(error: std::io::Error) -> Error {
    Error::transient(format!("The connection to the server failed: {error}")).caused_by(error)
}

fn denied(error: std::io::Error) -> Error {
    Error::new(Kind::Refused, format!("Signing in failed: {error}")).caused_by(error)
}

fn unexpected() -> Error {
    Error::transient("The server sent what osc can't read.")
}

//! TLS as PostgreSQL negotiates it: asked for in the clear, then the handshake, with libpq's modes.

use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use super::connect::Boxed;
use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub fn parse(value: &str) -> Result<SslMode> {
        Ok(match value.to_ascii_lowercase().replace('_', "-").as_str() {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => {
                return Err(Error::usage(format!(
                    "sslmode is disable, prefer, require, verify-ca or verify-full, not '{value}'."
                )));
            }
        })
    }

    pub fn verifies(self) -> bool {
        matches!(self, SslMode::VerifyCa | SslMode::VerifyFull)
    }
}

pub struct Files<'a> {
    pub root: Option<&'a Path>,
    pub cert: Option<&'a Path>,
    pub key: Option<&'a Path>,
}

/// Asks the server for TLS as the mode says, and shakes hands.
pub async fn negotiate(mut tcp: TcpStream, mode: SslMode, files: &Files<'_>, host: &str, at: &str) -> Result<Boxed> {
    if mode == SslMode::Disable {
        return Ok(Box::new(tcp));
    }
    let lost = |e: std::io::Error| Error::transient(format!("Can't connect to {at}: {e}")).caused_by(e);
    let mut request = bytes::BytesMut::new();
    postgres_protocol::message::frontend::ssl_request(&mut request);
    tcp.write_all(&request).await.map_err(lost)?;
    match tcp.read_u8().await.map_err(lost)? {
        b'S' => {}
        // Nothing else was read: what came in the clear can't be taken for a part of the encrypted stream.
        _ if mode == SslMode::Prefer => return Ok(Box::new(tcp)),
        _ => {
            return Err(Error::refused(format!("The server at {at} offers no TLS, and sslmode asks for it."))
                .todo("Switch TLS on in the server, or use sslmode=prefer or sslmode=disable."));
        }
    }
    let name = ServerName::try_from(host.to_string())
        .map_err(|e| Error::usage(format!("'{host}' can't be the name of a server with TLS.")).caused_by(e))?;
    let connector = TlsConnector::from(Arc::new(config(mode, files)?));
    let stream = connector.connect(name, tcp).await.map_err(|e| {
        if e.kind() == std::io::ErrorKind::InvalidData {
            Error::refused(format!("Can't connect to {at}: {e}"))
                .todo("Check sslmode, sslrootcert, sslcert and sslkey against the server's certificate.")
                .caused_by(e)
        } else {
            lost(e)
        }
    })?;
    Ok(Box::new(stream))
}

fn config(mode: SslMode, files: &Files<'_>) -> Result<ClientConfig> {
    let bad = |what: &str, path: &Path, e: &dyn std::fmt::Display| {
        Error::usage(format!("The {what} in {} can't be used: {e}.", path.display()))
    };
    let provider = Arc::new(ring::default_provider());
    // A given authority is asked also under `require`, as libpq does it.
    let inner = match files.root {
        Some(root) => {
            let mut roots = RootCertStore::empty();
            for cert in CertificateDer::pem_file_iter(root).map_err(|e| bad("sslrootcert", root, &e))? {
                let cert = cert.map_err(|e| bad("sslrootcert", root, &e))?;
                roots.add(cert).map_err(|e| bad("sslrootcert", root, &e))?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| bad("sslrootcert", root, &e))?;
            Some(verifier)
        }
        None => None,
    };
    let verifier = Arc::new(Verifier { inner, name: mode == SslMode::VerifyFull, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::definite("TLS can't be set up.").caused_by(e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (files.cert, files.key) {
        (Some(cert), Some(key)) => {
            let chain = CertificateDer::pem_file_iter(cert)
                .and_then(|certs| certs.collect::<std::result::Result<Vec<_>, _>>())
                .map_err(|e| bad("sslcert", cert, &e))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| bad("sslkey", key, &e))?;
            builder.with_client_auth_cert(chain, secret).map_err(|e| bad("sslkey", key, &e))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// libpq's modes: without an authority nothing is verified; with `verify-ca` not the name.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(cert, chain, name, ocsp, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! A certificate authority of its own, and what it signs.

use std::fmt;
use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;

/// What the server shows in its TLS handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerCertificate {
    /// Signed by the authority whose certificate
    /// [`root_certificate_pem`](crate::TestIdaas::root_certificate_pem) gives, for `localhost`,
    /// `127.0.0.1` and `::1`: clients that trust the authority accept it.
    #[default]
    Trusted,
    /// Signed by an authority that no client trusts.
    UnknownAuthority,
    /// Signed by the trusted authority, but for another host's name.
    WrongName,
    /// Signed by the trusted authority, but its time is over.
    Expired,
}

/// Other settings of a server's TLS.
#[derive(Debug, Default)]
pub(crate) struct TlsOptions {
    /// Names of the host beside those of the loopback interface.
    pub(crate) host_names: Vec<String>,
    pub(crate) without_http2: bool,
}

/// The authority that signs the servers of one test IDaaS.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    root_pem: String,
}

impl Authority {
    pub(crate) fn generate() -> io::Result<Self> {
        let mut parameters = CertificateParams::default();
        // Verifiers look authorities up by name, so no two may share one.
        let name = format!("tower-idaas test authority {:016x}", fastrand::u64(..));
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(parameters, key).map_err(io::Error::other)?;
        Ok(Self { root_pem: issuer.pem(), issuer })
    }

    pub(crate) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The TLS side of a server with a new certificate of the given kind; it speaks HTTP/2 and HTTP/1.1
    /// unless set otherwise.
    pub(crate) fn server_config(
        &self,
        kind: ServerCertificate,
        options: &TlsOptions,
    ) -> io::Result<Arc<ServerConfig>> {
        if kind == ServerCertificate::UnknownAuthority {
            return Self::generate()?.server_config(ServerCertificate::Trusted, options);
        }
        let mut names = match kind {
            ServerCertificate::WrongName => vec!["elsewhere.invalid".to_owned()],
            _ => ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
        };
        if kind != ServerCertificate::WrongName {
            names.extend(options.host_names.iter().cloned());
            names.sort();
            names.dedup();
        }
        let mut parameters = CertificateParams::new(names).map_err(io::Error::other)?;
        parameters.distinguished_name.push(DnType::CommonName, "tower-idaas test server");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        if kind == ServerCertificate::Expired {
            parameters.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;

        let mut config = ServerConfig::builder_with_provider(provider()?)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = match options.without_http2 {
            true => vec![b"http/1.1".to_vec()],
            false => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(Arc::new(config))
    }
}

/// The provider by name: which one is the process's default is not for a library to choose.
#[cfg(feature = "rustls-aws-lc-rs")]
#[allow(clippy::unnecessary_wraps, reason = "without the feature there may be none")]
pub(crate) fn provider() -> io::Result<Arc<CryptoProvider>> {
    Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(feature = "rustls-aws-lc-rs"))]
pub(crate) fn provider() -> io::Result<Arc<CryptoProvider>> {
    CryptoProvider::get_default().map(Arc::clone).ok_or_else(|| {
        io::Error::other(
            "there is no cryptography for TLS; turn on feature `rustls-aws-lc-rs` of tower-idaas-testing, or install a \
             provider of rustls's at the start of the test",
        )
    })
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

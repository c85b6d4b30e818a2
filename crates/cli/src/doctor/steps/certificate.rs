//! An X.509 certificate, read for people; verifying is for others.

use std::time::{Duration, SystemTime};

use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::display;

#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Described {
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let time =
            |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Some(Self {
            subject: display::text(&certificate.subject().to_string()),
            issuer: display::text(&certificate.issuer().to_string()),
            not_before: time(certificate.validity().not_before.timestamp()),
            not_after: time(certificate.validity().not_after.timestamp()),
        })
    }

    pub(crate) fn facts(&self, now: SystemTime) -> [(&'static str, String); 3] {
        [
            ("subject", self.subject.clone()),
            ("issuer", self.issuer.clone()),
            ("expires", display::time_from(self.not_after, now)),
        ]
    }
}

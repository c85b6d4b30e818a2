//! The parts of an X.509 certificate (RFC 5280) that PCA needs: its public key, and its dates.

use std::time::{Duration, SystemTime};

use crate::authn::der::{self, Reader, tag};
use crate::authn::private_key::PrivateKey;
use crate::secret::pem;

/// A certificate, parsed but not verified: verification is the issuer's task.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(super) der: Vec<u8>,
    /// The public key's bit string.
    pub(super) public_key: Vec<u8>,
    pub(super) not_before: Date,
    pub(super) not_after: Date,
}

/// A date as the certificate writes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Date {
    pub(super) time: SystemTime,
    /// The day, such as `2026-11-30`.
    pub(super) day: String,
}

const EXPECTED: &str = "expected certificates in PEM form (`-----BEGIN CERTIFICATE-----`)";

impl Certificate {
    /// All certificates in the text, at least one. The error is the rest of a sentence that begins with the text's
    /// place.
    pub(crate) fn all(text: &str) -> Result<Vec<Self>, String> {
        let text = pem::normalized(text);
        let blocks = pem::blocks(&text)?;
        if blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            return Err(format!("holds a private key, which must not be sent; {EXPECTED}"));
        }
        let certificates = blocks.iter().filter(|block| pem::is_certificate(block.label));
        let certificates = certificates.map(|block| {
            let der = block.decode()?;
            Self::from_der(pem::first_element(&der).unwrap_or(&der))
        });
        let certificates: Vec<Self> = certificates.collect::<Result<_, _>>()?;
        match certificates.is_empty() {
            true if blocks.is_empty() => Ok(vec![Self::bare(&text)?]),
            true => Err(format!("holds no certificate; {EXPECTED}")),
            false => Ok(certificates),
        }
    }

    /// A text without any `-----BEGIN`: base64 of a certificate, or no certificate at all.
    fn bare(text: &str) -> Result<Self, String> {
        let der = pem::decode(pem::undecorated(text));
        match der.filter(|der| der.first() == Some(&tag::SEQUENCE)) {
            Some(_) if PrivateKey::find(text, None).is_ok() => {
                Err(format!("holds a private key, which must not be sent; {EXPECTED}"))
            }
            Some(der) => Self::from_der(&der),
            None => Err(format!("holds no certificate; {EXPECTED}")),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        if der::is_cut_short(der) {
            return Err("is cut short: a certificate ends too early".into());
        }
        Self::parse(der).ok_or_else(|| format!("holds a damaged certificate; {EXPECTED}"))
    }

    fn parse(der: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut signed = outer.sequence().filter(|_| outer.is_empty())?.sequence()?;
        let _version = signed.expect(tag::CONTEXT_0);
        let _serial_number = signed.expect(tag::INTEGER)?;
        let _algorithm = signed.sequence()?;
        let _issuer = signed.sequence()?;
        let mut validity = signed.sequence()?;
        let _subject = signed.sequence()?;
        let mut public_key = signed.sequence()?;
        let _algorithm = public_key.sequence()?;
        // The first byte counts the unused bits, of which a key has none.
        let public_key = public_key.expect(tag::BIT_STRING)?.strip_prefix(&[0])?;
        Some(Self {
            der: der.to_vec(),
            public_key: public_key.to_vec(),
            not_before: date(&mut validity)?,
            not_after: date(&mut validity)?,
        })
    }

    pub(super) fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der)
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280 section 4.1.2.5).
fn date(validity: &mut Reader<'_>) -> Option<Date> {
    let (kind, text) = validity.next()?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match kind {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    if rest.len() != 10 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Date {
        time: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?,
        day: format!("{year:04}-{month:02}-{day:02}"),
    })
}

/// By the proleptic Gregorian calendar; dates before 1970 count as 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years are counted from March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day;
    days.saturating_sub(719_469)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAF: &str = include_str!("../../tests/golden/keys/pca_leaf_ec_p256.cert.pem");
    const EXPIRED: &str = include_str!("../../tests/golden/keys/pca_leaf_expired_rsa2048.cert.pem");

    #[test]
    fn days_are_counted_as_the_calendar_has_them() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 30), 20_787),
            ((2100, 3, 1), 47_541),
            ((1950, 1, 1), 0),
        ] {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }

    #[test]
    fn a_certificate_is_read_and_written_back() {
        let leaf = &Certificate::all(LEAF).unwrap()[0];
        assert_eq!(leaf.to_pem(), LEAF.trim_end());
        assert_eq!((leaf.not_before.day.as_str(), leaf.not_after.day.as_str()), ("2025-01-01", "2055-01-01"));
        assert_eq!(leaf.public_key.len(), 65);
        let expired = &Certificate::all(EXPIRED).unwrap()[0];
        assert!(expired.not_after.time < leaf.not_after.time);
    }

    #[test]
    fn a_certificate_is_read_in_every_shape_that_it_comes_in() {
        let bare: String = LEAF.lines().filter(|line| !line.starts_with('-')).collect();
        let whole = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, LEAF);
        for text in [bare.as_str(), &format!("\"{bare}\"\n"), &bare.replace('=', ""), &whole] {
            assert_eq!(Certificate::all(text).unwrap()[0].to_pem(), LEAF.trim_end(), "{text}");
        }
    }

    #[test]
    fn both_ways_of_writing_a_time_are_read() {
        let read = |kind: u8, text: &str| {
            let mut der = vec![kind, u8::try_from(text.len()).unwrap()];
            der.extend_from_slice(text.as_bytes());
            date(&mut Reader::new(&der)).map(|date| date.day)
        };
        assert_eq!(read(tag::UTC_TIME, "260102030405Z").as_deref(), Some("2026-01-02"));
        assert_eq!(read(tag::UTC_TIME, "500102030405Z").as_deref(), Some("1950-01-02"));
        assert_eq!(read(tag::GENERALIZED_TIME, "20550102030405Z").as_deref(), Some("2055-01-02"));
        for wrong in
            ["", "Z", "26010203040Z", "260102030405", "261302030405Z", "260100030405Z", "+60102030405Z"]
        {
            assert_eq!(read(tag::UTC_TIME, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_distinguished() {
        let key = include_str!("../../tests/golden/keys/ec_p256.pkcs8.pem");
        let public = include_str!("../../tests/golden/keys/ec_p256.pub.pem");
        let cut: String = LEAF.replace(LEAF.lines().nth(3).unwrap(), "");
        for (text, reason) in [
            ("", "holds no certificate"),
            ("/etc/ssl/leaf.pem", "holds no certificate"),
            (public, "holds no certificate"),
            (&format!("{LEAF}{key}"), "holds a private key, which must not be sent"),
            (&key.lines().filter(|line| !line.starts_with('-')).collect::<String>(), "holds a private key"),
            ("MAAA", "holds a damaged certificate"),
            (&LEAF[..200], "is cut short"),
            (&cut, "is cut short"),
            (&pem::encode("CERTIFICATE", b"0\x03\x02\x01\x01"), "holds a damaged certificate"),
        ] {
            let Err(problem) = Certificate::all(text) else { panic!("{text} is read") };
            assert!(problem.contains(reason), "{text}: {problem}");
        }
    }

    proptest! {
        #[test]
        fn no_change_to_a_certificate_makes_it_panic(at in 0..400_usize, byte in any::<u8>()) {
            let mut der = Certificate::all(LEAF).unwrap().remove(0).der;
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            let _ = Certificate::from_der(&der);
            der.truncate(at);
            let _ = Certificate::from_der(&der);
        }
    }
}

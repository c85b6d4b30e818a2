//! CMS signatures (RFC 5652), with the content inside.
//!
//! Written and read with yasna, which rcgen brings along: the data types of the crate `cms` would bring a
//! dozen crates more for the one shape that is needed here. It is the shape of the documents of metadata
//! services: one signer, who signs the digest of the content among the signed attributes.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, DERWriter, Tag, construct_der, parse_der};

const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
const SIGNED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 2];
const CONTENT_TYPE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 3];
const MESSAGE_DIGEST: &[u64] = &[1, 2, 840, 113_549, 1, 9, 4];
const SHA_256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const ECDSA_WITH_SHA_256: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];

/// A key and its certificate.
pub(crate) struct Signer {
    key: KeyPair,
    certificate: Vec<u8>,
    /// `IssuerAndSerialNumber`, which names the certificate.
    name: Vec<u8>,
}

impl Signer {
    pub(crate) fn generate() -> io::Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "tower-idaas test metadata service");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let certificate = parameters.self_signed(&key).map_err(io::Error::other)?.der().to_vec();
        let name = name_of(&certificate).map_err(io::Error::other)?;
        Ok(Self { key, certificate, name })
    }

    /// The DER of a `ContentInfo` that holds the content and its signature.
    pub(crate) fn sign(&self, content: &[u8]) -> io::Result<Vec<u8>> {
        let attributes = attributes(digest(&SHA256, content).as_ref());
        let signature = self.key.sign(&attributes).map_err(io::Error::other)?;
        Ok(content_info(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_u8(1);
                writer.next().write_set_of(|writer| algorithm(writer.next(), SHA_256));
                writer.next().write_sequence(|writer| {
                    writer.next().write_oid(&oid(DATA));
                    writer.next().write_tagged(Tag::context(0), |writer| writer.write_bytes(content));
                });
                writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                    writer.write_set_of(|writer| writer.next().write_der(&self.certificate));
                });
                writer.next().write_set_of(|writer| {
                    writer.next().write_sequence(|writer| {
                        writer.next().write_u8(1);
                        writer.next().write_der(&self.name);
                        algorithm(writer.next(), SHA_256);
                        writer.next().write_der(&tagged(&attributes, 0xa0));
                        algorithm(writer.next(), ECDSA_WITH_SHA_256);
                        writer.next().write_bytes(&signature);
                    });
                });
            });
        }))
    }

    /// The content, if this signer signed it.
    pub(crate) fn verify(&self, der: &[u8]) -> Option<Vec<u8>> {
        let signed = parse_der(der, SignedData::read).ok()?;
        let attributes = attributes(digest(&SHA256, &signed.content).as_ref());
        // There is one encoding of what the attributes have to say, so they are compared as a whole.
        let is_ours = signed.certificate == self.certificate && signed.signer == self.name;
        if !is_ours || tagged(&attributes, 0xa0) != signed.attributes {
            return None;
        }
        let public_key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.key.der_bytes());
        public_key.verify(&attributes, &signed.signature).ok()?;
        Some(signed.content)
    }
}

/// What is read of a `SignedData`; the rest is checked to be what it has to be.
struct SignedData {
    content: Vec<u8>,
    certificate: Vec<u8>,
    signer: Vec<u8>,
    /// As it stands there, under its implicit tag.
    attributes: Vec<u8>,
    signature: Vec<u8>,
}

impl SignedData {
    fn read(reader: BERReader<'_, '_>) -> ASN1Result<Self> {
        reader.read_sequence(|reader| {
            expect(reader.next(), SIGNED_DATA)?;
            reader.next().read_tagged(Tag::context(0), |reader| {
                reader.read_sequence(|reader| {
                    expect_version(reader.next())?;
                    reader.next().read_set_of(|reader| expect_algorithm(reader, SHA_256))?;
                    let content = reader.next().read_sequence(|reader| {
                        expect(reader.next(), DATA)?;
                        reader.next().read_tagged(Tag::context(0), |reader| reader.read_bytes())
                    })?;
                    let mut certificates = reader.next().read_tagged_implicit(Tag::context(0), |reader| {
                        reader.collect_set_of(|reader| reader.read_der())
                    })?;
                    let mut signers = reader.next().collect_set_of(Self::read_signer)?;
                    let (Some(certificate), Some((signer, attributes, signature)), [], []) =
                        (certificates.pop(), signers.pop(), certificates.as_slice(), signers.as_slice())
                    else {
                        return Err(another());
                    };
                    Ok(Self { content, certificate, signer, attributes, signature })
                })
            })
        })
    }

    fn read_signer(reader: BERReader<'_, '_>) -> ASN1Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        reader.read_sequence(|reader| {
            expect_version(reader.next())?;
            let signer = reader.next().read_der()?;
            expect_algorithm(reader.next(), SHA_256)?;
            let attributes = reader.next().read_der()?;
            expect_algorithm(reader.next(), ECDSA_WITH_SHA_256)?;
            Ok((signer, attributes, reader.next().read_bytes()?))
        })
    }
}

/// The signed attributes, as they are signed: the content's type and digest, in a `SET OF`.
fn attributes(digest: &[u8]) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_set_of(|writer| {
            attribute(writer.next(), CONTENT_TYPE, |writer| writer.write_oid(&oid(DATA)));
            attribute(writer.next(), MESSAGE_DIGEST, |writer| writer.write_bytes(digest));
        });
    })
}

fn attribute(writer: DERWriter<'_>, name: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(name));
        writer.next().write_set_of(|writer| value(writer.next()));
    });
}

/// The same value under another tag of one byte (RFC 5652 section 5.4).
fn tagged(der: &[u8], tag: u8) -> Vec<u8> {
    let mut der = der.to_vec();
    if let Some(first) = der.first_mut() {
        *first = tag;
    }
    der
}

fn content_info(signed_data: impl FnOnce(DERWriter<'_>)) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_oid(&oid(SIGNED_DATA));
            writer.next().write_tagged(Tag::context(0), signed_data);
        });
    })
}

fn algorithm(writer: DERWriter<'_>, name: &[u64]) {
    writer.write_sequence(|writer| writer.next().write_oid(&oid(name)));
}

/// `IssuerAndSerialNumber` of a certificate (RFC 5280 section 4.1).
fn name_of(certificate: &[u8]) -> ASN1Result<Vec<u8>> {
    let (serial, issuer) = parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            let parts = reader.next().read_sequence(|reader| {
                let _version = reader.next().read_der()?;
                let serial = reader.next().read_der()?;
                let _algorithm = reader.next().read_der()?;
                let issuer = reader.next().read_der()?;
                let _validity = reader.next().read_der()?;
                let _subject = reader.next().read_der()?;
                let _public_key = reader.next().read_der()?;
                reader.read_optional(|reader| reader.read_der())?;
                Ok((serial, issuer))
            })?;
            let _algorithm = reader.next().read_der()?;
            let _signature = reader.next().read_der()?;
            Ok(parts)
        })
    })?;
    Ok(construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(&issuer);
            writer.next().write_der(&serial);
        });
    }))
}

fn expect(reader: BERReader<'_, '_>, name: &[u64]) -> ASN1Result<()> {
    if reader.read_oid()? == oid(name) { Ok(()) } else { Err(another()) }
}

fn expect_version(reader: BERReader<'_, '_>) -> ASN1Result<()> {
    if reader.read_u8()? == 1 { Ok(()) } else { Err(another()) }
}

/// Something else than what is written here.
fn another() -> ASN1Error {
    ASN1Error::new(ASN1ErrorKind::Invalid)
}

fn expect_algorithm(reader: BERReader<'_, '_>, name: &[u64]) -> ASN1Result<()> {
    reader.read_sequence(|reader| expect(reader.next(), name))
}

fn oid(parts: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_comes_back_and_a_change_of_any_byte_is_noticed() {
        let signer = Signer::generate().unwrap();
        let signed = signer.sign(b"{\"instance\": 1}").unwrap();
        assert_eq!(signer.verify(&signed).unwrap(), b"{\"instance\": 1}");
        for place in 0..signed.len() {
            let mut changed = signed.clone();
            changed[place] ^= 1;
            assert!(signer.verify(&changed).is_none(), "at {place}");
        }
        assert!(Signer::generate().unwrap().verify(&signed).is_none());
    }

    #[test]
    fn nonsense_is_no_signature() {
        let signer = Signer::generate().unwrap();
        let signed = signer.sign(b"content").unwrap();
        for der in [&b""[..], b"\x30\x80", b"content", &signed[..signed.len() - 1]] {
            assert!(signer.verify(der).is_none());
        }
    }
}

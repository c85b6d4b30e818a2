//! Private keys in the formats that users provide.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::authn::signing_key::SigningKey;
use crate::authn::tests::*;
use crate::secret::{Secret, pem};

const KEYS: [(&str, SigningAlgorithm); 12] = [
    (golden!("rsa2048.pkcs8.pem"), SigningAlgorithm::Rs256),
    (golden!("rsa2048.pkcs1.pem"), SigningAlgorithm::Rs256),
    (golden!("rsa3072.pkcs8.pem"), SigningAlgorithm::Rs384),
    (golden!("rsa3072.pkcs1.pem"), SigningAlgorithm::Rs384),
    (golden!("rsa4096.pkcs8.pem"), SigningAlgorithm::Rs512),
    (golden!("rsa4096.pkcs1.pem"), SigningAlgorithm::Rs512),
    (golden!("ec_p256.pkcs8.pem"), SigningAlgorithm::Es256),
    (golden!("ec_p256.sec1.pem"), SigningAlgorithm::Es256),
    (golden!("ec_p384.pkcs8.pem"), SigningAlgorithm::Es384),
    (golden!("ec_p384.sec1.pem"), SigningAlgorithm::Es384),
    (golden!("ec_p521.pkcs8.pem"), SigningAlgorithm::Es512),
    (golden!("ec_p521.sec1.pem"), SigningAlgorithm::Es512),
];

fn verifier(algorithm: SigningAlgorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        SigningAlgorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        SigningAlgorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        SigningAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        SigningAlgorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        SigningAlgorithm::Es512 => &ECDSA_P521_SHA512_FIXED,
    }
}

fn parse(text: &str) -> Result<SigningKey, String> {
    SigningKey::from_text(text, None)
}

fn assert_signs(text: &str, expected: SigningAlgorithm) {
    assert_signs_with(text, None, expected);
}

fn assert_signs_with(text: &str, passphrase: Option<&Secret>, expected: SigningAlgorithm) {
    let key = SigningKey::from_text(text, passphrase).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    assert_eq!(key.algorithm(None), Ok(expected), "{text}");
    let signature = key.sign(expected, b"message").unwrap();
    UnparsedPublicKey::new(verifier(expected), key.public_key()).verify(b"message", &signature).unwrap();
}

#[test]
fn every_key_signs_whatever_became_of_its_line_breaks() {
    let certificate = golden!("pca_leaf_rsa2048.cert.pem");
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for (text, expected) in KEYS {
        let indented: String = text.lines().map(|line| format!("\t  {line}\n")).collect();
        let bare: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        for shape in [
            text.to_owned(),
            text.trim_end().to_owned(),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\r"),
            text.replace('\n', "\\n"),
            text.replace('\n', "\\r\\n"),
            text.replace('\n', "\\\\n"),
            text.replace('\n', " "),
            text.replace('\n', ""),
            format!("\n\n \t\n{text}"),
            format!("\"{}\"", text.replace('\n', "\\n")),
            indented,
            format!("{certificate}{text}"),
            format!("{text}{certificate}"),
            format!("{parameters}{text}"),
            format!("Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n{text}"),
            bare.clone(),
            STANDARD.encode(text),
            format!("\"{bare}\"\n"),
        ] {
            assert_signs(&shape, expected);
        }
    }
    assert_signs(odd!("p256.parameters_and_sec1.pem"), SigningAlgorithm::Es256);
}

#[test]
fn a_wrong_label_does_not_matter() {
    for (text, algorithm) in KEYS {
        let label = text.lines().next().unwrap().trim_matches('-').strip_prefix("BEGIN ").unwrap();
        for other in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            assert_signs(&text.replace(label, other), algorithm);
        }
    }
}

#[test]
fn a_key_under_a_passphrase_signs_with_it_and_says_what_is_wrong_without() {
    let passphrase = Secret::from("correct horse");
    for (text, expected) in [
        (odd!("ec_p256.pkcs8.default.pem"), SigningAlgorithm::Es256),
        (odd!("ec_p256.pkcs8.aes128_sha1.pem"), SigningAlgorithm::Es256),
        (odd!("ec_p256.pkcs8.aes192_sha384.pem"), SigningAlgorithm::Es256),
        (odd!("rsa2048.pkcs8.aes256_sha512.pem"), SigningAlgorithm::Rs256),
    ] {
        let bare: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        for text in [text.to_owned(), text.replace('\n', "\\n"), STANDARD.encode(text), bare] {
            let key = SigningKey::from_text(&text, Some(&passphrase)).unwrap();
            assert_eq!(key.algorithm(None), Ok(expected), "{text}");
            key.sign(expected, b"message").unwrap();
            let problem = |passphrase| SigningKey::from_text(&text, passphrase).unwrap_err();
            assert!(problem(None).contains("holds an encrypted private key; give its passphrase"));
            assert!(problem(Some(&"hunter2".into())).contains("the passphrase is wrong"), "{text}");
        }
    }
    for (text, reason) in [
        (odd!("ec_p256.pkcs8.des3.pem"), "encrypted with triple DES, which is not supported"),
        (odd!("ec_p256.pkcs8.scrypt.pem"), "encrypted with scrypt, which is not supported"),
        (odd!("rsa2048.pkcs1.encrypted.pem"), "in the form of RFC 1421"),
    ] {
        let problem = SigningKey::from_text(text, Some(&passphrase)).unwrap_err();
        assert!(problem.contains(reason) && problem.contains("openssl pkcs8 -topk8"), "{problem}");
    }
    assert_signs_with(golden!("ec_p256.pkcs8.pem"), Some(&passphrase), SigningAlgorithm::Es256);
}

#[test]
fn what_cannot_sign_is_distinguished_and_not_shown() {
    let rsa = golden!("rsa2048.pkcs8.pem");
    let cut = |lines: usize| rsa.lines().take(lines).collect::<Vec<_>>().join("\n");
    let in_the_middle = rsa.replace(rsa.lines().nth(5).unwrap(), "");
    let public = golden!("ec_p256.pub.pem");
    let bare = |text: &str| text.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    for (text, reason) in [
        (odd!("rsa2048.pkcs1.encrypted.pem"), "holds an encrypted private key"),
        (&odd!("rsa2048.pkcs1.encrypted.pem").replace('\n', "\\n"), "holds an encrypted private key"),
        (odd!("ec_p256.pkcs8.encrypted.pem"), "holds an encrypted private key"),
        (&bare(odd!("ec_p256.pkcs8.encrypted.pem")), "holds an encrypted private key"),
        (public, "holds a public key and no private one"),
        (&bare(public), "holds a public key and no private one"),
        (&public.replace("PUBLIC", "PRIVATE"), "holds a public key and no private one"),
        (odd!("rsa2048.pkcs1.public.pem"), "holds a public key and no private one"),
        (&bare(odd!("rsa2048.pkcs1.public.pem")), "holds a public key and no private one"),
        (golden!("pca_leaf_rsa2048.cert.pem"), "holds a certificate and no private key"),
        (&bare(golden!("pca_leaf_rsa2048.cert.pem")), "holds a certificate and no private key"),
        (odd!("ed25519.pem"), "holds an Ed25519 key"),
        (odd!("secp256k1.pkcs8.pem"), "on the curve secp256k1"),
        (odd!("secp256k1.parameters_and_sec1.pem"), "on the curve secp256k1"),
        (odd!("p224.pem"), "on another curve"),
        (odd!("p256.explicit.pem"), "spells its curve out"),
        (odd!("rsa_pss.pem"), "for PSS signatures only"),
        (odd!("dsa.pem"), "holds a DSA key"),
        (golden!("rsa1024.pkcs8.pem"), "an RSA key of 1024 bits, which is not supported; expected 2048"),
        (golden!("rsa1024.pkcs1.pem"), "an RSA key of 1024 bits, which is not supported; expected 2048"),
        (&cut(1), "is cut short"),
        (&cut(10), "is cut short"),
        (&in_the_middle, "is cut short"),
        (&bare(&cut(10)), "is cut short"),
        (&rsa.replace("END PRIVATE", "END PUBLIC"), "is damaged"),
        (&rsa.replace("MII", "M*I"), "is damaged: its base64"),
        (&pem::encode("PRIVATE KEY", b"0\x05hello"), "is not a private key, or a damaged one"),
        (&format!("{rsa}{}", golden!("ec_p256.sec1.pem")), "holds more than one private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "OpenSSH"),
        ("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----", "parameters"),
        ("-----BEGIN THING-----\nAAAA\n-----END THING-----", "holds no private key; expected"),
        ("/etc/keys/hunter2", "what looks like the path of a file"),
        ("~/hunter2.pem", "what looks like the path of a file"),
        ("C:\\new\\hunter2", "what looks like the path of a file"),
        ("hunter2.key\n", "what looks like the path of a file"),
        ("hunter2", "holds no private key; expected"),
        ("\\", "holds no private key; expected"),
        ("MAAA", "is not a private key, or a damaged one; expected"),
    ] {
        let problem = SigningKey::from_text(text, None).map(|_| text).unwrap_err();
        assert!(problem.contains(reason), "{text}\n{problem}");
        assert!(!problem.contains('\n') && !problem.contains("hunter2"), "{problem}");
        for line in text.lines().filter(|line| line.len() > 20 && !line.starts_with('-')) {
            assert!(!problem.contains(&line[..20]), "{problem}");
        }
    }
}

#[test]
fn numbers_that_do_not_fit_together_are_refused() {
    for text in [golden!("rsa2048.pkcs8.pem"), golden!("ec_p256.pkcs8.pem"), golden!("ec_p521.sec1.pem")] {
        let normalized = pem::normalized(text);
        let block = pem::blocks(&normalized).unwrap()[0];
        let mut der = block.decode().unwrap().to_vec();
        let place = der.len() - 20;
        der[place] ^= 0xff;
        let problem = parse(&pem::encode(block.label, &der)).unwrap_err();
        assert!(problem.contains("damaged private key"), "{problem}");
    }
}

#[test]
fn an_algorithm_is_chosen_among_those_that_the_key_can_do() {
    use SigningAlgorithm::{Es256, Es384, Es512, Rs256, Rs384, Rs512};
    for (text, own) in KEYS {
        let key = SigningKey::from_text(text, None).unwrap();
        for wanted in [Rs256, Rs384, Rs512, Es256, Es384, Es512] {
            let both_rsa = wanted.as_str().starts_with("RS") && own.as_str().starts_with("RS");
            if both_rsa || wanted == own {
                assert_eq!(key.algorithm(Some(wanted)), Ok(wanted));
                let signature = key.sign(wanted, b"message").unwrap();
                let public_key = UnparsedPublicKey::new(verifier(wanted), key.public_key());
                public_key.verify(b"message", &signature).unwrap();
            } else {
                let problem = key.algorithm(Some(wanted)).unwrap_err();
                assert!(
                    problem.contains(&format!("cannot sign with {wanted}; expected {}", &own.as_str()[..2]))
                );
            }
        }
    }
}

#[test]
fn a_key_is_never_shown() {
    for (text, _) in KEYS {
        let shown = format!("{:?}", SigningKey::from_text(text, None).unwrap());
        assert!(shown.len() < 60, "{shown}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), at in 0..200_usize, byte in any::<u8>()) {
        let _ = parse(&text);
        let _ = parse(&format!("-----BEGIN PRIVATE KEY-----{text}-----END PRIVATE KEY-----"));
        let normalized = pem::normalized(golden!("ec_p256.pkcs8.pem"));
        let mut der = pem::blocks(&normalized).unwrap()[0].decode().unwrap().to_vec();
        if let Some(place) = der.get_mut(at) {
            *place = byte;
        }
        let _ = parse(&pem::encode("PRIVATE KEY", &der));
        der.truncate(at);
        let _ = parse(&pem::encode("PRIVATE KEY", &der));
    }
}

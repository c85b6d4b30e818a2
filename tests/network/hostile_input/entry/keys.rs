//! PEM text of every kind: keys, certificates, chains, authorities.

#[cfg(feature = "transport")]
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::authn::{AssertionKey, Pca, PrivateKeyJwt};
use tower_idaas::{ConfigError, Idaas, SecretSource};

use super::{Server, Watch, assert_faults_readable, client, runtime, shown, split};

/// A real key, and the certificate for it.
pub const KEY: &str = include_str!("../../../golden/keys/ec_p256.pkcs8.pem");
pub const CERTIFICATE: &str = include_str!("../../../golden/keys/pca_leaf_ec_p256.cert.pem");

/// The passphrase of the keys in `tests/odd_keys`.
const PASSPHRASE: &str = "a";

fn source(text: &str) -> SecretSource {
    SecretSource::value(text.to_owned())
}

/// A client of PCA.
pub fn client_with(certificates: &str, key: &str) -> Result<Idaas, ConfigError> {
    Server::good()
        .serve(client().authenticator(Pca::new("credential", source(certificates), source(key))))
        .build()
}

/// The first byte says what the rest is: a private key, certificates with their key behind a zero byte, a chain of
/// certificates, a private key under a passphrase, or authorities. It is refused without being shown, or it signs.
pub fn pem(input: &[u8]) {
    let _watch = Watch::start();
    let (choice, rest) = split(input);
    let text = String::from_utf8_lossy(rest).into_owned();
    let built = match choice % 5 {
        0 => Server::good().serve(client().authenticator(PrivateKeyJwt::new(source(&text)))).build(),
        1 => {
            let (certificates, key) = text.split_once('\0').unwrap_or((&text, KEY));
            client_with(certificates, key)
        }
        2 => {
            let pca =
                Pca::new("credential", source(CERTIFICATE), source(KEY)).certificate_chain(source(&text));
            Server::good().serve(client().authenticator(pca)).build()
        }
        3 => {
            let key = AssertionKey::from(source(&text)).passphrase(source(PASSPHRASE));
            Server::good().serve(client().authenticator(PrivateKeyJwt::new(key))).build()
        }
        _ => {
            // Authorities belong to the built-in client.
            #[cfg(feature = "transport")]
            if let Err(error) = client()
                .authenticator(ClientSecretPost::new(SecretSource::variable("APP_SECRET")))
                .root_certificate(rest)
                .build()
            {
                assert_faults_readable(&error);
            }
            return;
        }
    };
    match built {
        Ok(idaas) => drop(runtime().block_on(idaas.token()).unwrap()),
        Err(error) => {
            assert_faults_readable(&error);
            let shown = shown(&error);
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
            for line in text.lines().filter(|line| line.len() >= 40 && line.bytes().all(is_base64)) {
                assert!(!shown.contains(&line[..40]), "{shown}");
            }
        }
    }
}

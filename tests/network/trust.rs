//! Which certificate authorities are trusted: by variable, and in code.

use std::path::Path;

use crate::support::chain;
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ConfigError, Idaas, SecretSource};
use tower_idaas_testing::TestIdaas;

/// A client that trusts what these variables name and nothing else.
fn idaas(issuer: &TestIdaas, variables: &[(&str, &Path)]) -> Result<Idaas, ConfigError> {
    Idaas::builder()
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(issuer.client_id())
        .issuer(issuer.issuer())
        .token_endpoint(issuer.token_endpoint())
        .scope(issuer.scope().as_str())
        .authenticator(ClientSecretPost::new(SecretSource::value(issuer.secret())))
        .environment(ManualEnvironment::from_iter(variables.iter().copied()))
        .build()
}

#[tokio::test]
async fn a_file_or_a_folder_of_authorities_replaces_the_platforms() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = TestIdaas::start().await.unwrap();
    let file = issuer.write_root_certificate(folder.path()).unwrap();
    idaas(&issuer, &[("SSL_CERT_FILE", &file)]).unwrap().token().await.unwrap();
    idaas(&issuer, &[("SSL_CERT_DIR", folder.path())]).unwrap().token().await.unwrap();

    // A file of variables may end its lines as Windows does.
    for (variable, path) in [("SSL_CERT_FILE", &*file), ("SSL_CERT_DIR", folder.path())] {
        let path = format!("{}\r\n", path.display());
        idaas(&issuer, &[(variable, Path::new(&path))]).unwrap().token().await.unwrap();
    }

    // The authority of another issuer does not do.
    let other = TestIdaas::start().await.unwrap();
    let error = idaas(&other, &[("SSL_CERT_FILE", &file)]).unwrap().token().await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn file_and_folders_add_up() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let [first, second] = [TestIdaas::start().await.unwrap(), TestIdaas::start().await.unwrap()];
    let file = first.write_root_certificate(folders[0].path()).unwrap();
    second.write_root_certificate(folders[1].path()).unwrap();
    // An empty folder among them is no fault.
    let joined = std::env::join_paths([folders[2].path(), folders[1].path()]).unwrap();
    let variables = [("SSL_CERT_FILE", &*file), ("SSL_CERT_DIR", Path::new(&joined))];
    for issuer in [&first, &second] {
        idaas(issuer, &variables).unwrap().token().await.unwrap();
    }
}

#[tokio::test]
async fn a_bundle_in_utf_16_is_called_that() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = TestIdaas::start().await.unwrap();
    let text = format!("\u{feff}{}", issuer.root_certificate_pem());
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let error = idaas(&issuer, &[("SSL_CERT_FILE", &path)]).unwrap_err();
    assert!(error.to_string().contains("is not UTF-8 text but UTF-16; save it as UTF-8"), "{error}");
}

#[tokio::test]
async fn a_bundle_that_is_too_large_is_named_and_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = TestIdaas::start().await.unwrap();
    let file = issuer.write_root_certificate(folder.path()).unwrap();
    let large = folder.path().join("large.pem");
    std::fs::copy(&file, &large).unwrap();
    // What follows is zeros, which take no room on the disk.
    std::fs::File::options().write(true).open(&large).unwrap().set_len((16 << 20) + 1).unwrap();
    let error = idaas(&issuer, &[("SSL_CERT_FILE", &large)]).unwrap_err();
    let [fault] = error.faults() else { panic!("{error}") };
    assert_eq!(fault.key(), "SSL_CERT_FILE");
    let problem = format!("{}, which is larger than 16 MiB", large.display());
    assert!(error.to_string().contains(&problem), "{error}");
    // In a folder it hides no other.
    idaas(&issuer, &[("SSL_CERT_DIR", folder.path())]).unwrap().token().await.unwrap();
}

#[tokio::test]
async fn a_variable_that_leads_to_no_certificate_is_named_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = TestIdaas::start().await.unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate in here").unwrap();
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    let hollow = folder.path().join("hollow.pem");
    std::fs::write(&hollow, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let nothing = folder.path().join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let missing = folder.path().join("missing");
    for (variable, path) in [
        ("SSL_CERT_FILE", &missing),
        ("SSL_CERT_FILE", &empty),
        ("SSL_CERT_FILE", &broken),
        ("SSL_CERT_FILE", &hollow),
        ("SSL_CERT_FILE", &nothing),
        ("SSL_CERT_DIR", &missing),
        ("SSL_CERT_DIR", &nothing),
        ("SSL_CERT_DIR", &empty),
    ] {
        let error = idaas(&issuer, &[(variable, path)]).unwrap_err();
        let [fault] = error.faults() else { panic!("{error}") };
        assert_eq!(fault.key(), variable, "{path:?}: {error}");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{}", chain(&error));
    }
    assert_eq!(issuer.connections(), 0);
}

#[tokio::test]
async fn a_certificate_in_code_that_is_none_is_a_fault() {
    let issuer = TestIdaas::start().await.unwrap();
    for bad in ["", "MARKER", "-----BEGIN CERTIFICATE-----\nMARKER\n-----END CERTIFICATE-----"] {
        let error = crate::support::builder(&issuer).root_certificate(bad).build().unwrap_err();
        assert_eq!(error.faults()[0].key(), "root_certificate");
        assert!(!format!("{error:?} {error}").contains("MARKER"), "{error:?}");
    }
}

#[tokio::test]
async fn a_block_that_cannot_be_used_hides_no_other_in_a_file_or_in_code() {
    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    const CUT_SHORT: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    let folder = tempfile::tempdir().unwrap();
    let issuer = TestIdaas::start().await.unwrap();
    let root = issuer.root_certificate_pem();
    for (number, text) in [
        format!("{BROKEN}{root}"),
        format!("{CUT_SHORT}{root}{BROKEN}"),
        root.replace('\n', "\\n"),
        root.replace('\n', " "),
        format!("# a comment\n    {}", root.replace('\n', "\r\n    ")),
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, root),
    ]
    .iter()
    .enumerate()
    {
        let file = folder.path().join(format!("{number}.pem"));
        std::fs::write(&file, text).unwrap();
        idaas(&issuer, &[("SSL_CERT_FILE", &file)]).unwrap().token().await.unwrap();
        let in_code = crate::support::builder(&issuer).root_certificate(text.as_str());
        in_code.build().unwrap();
    }
}

#[tokio::test]
async fn authorities_are_read_again_when_their_file_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = [TestIdaas::start().await.unwrap(), TestIdaas::start().await.unwrap()];
    let file = old.write_root_certificate(folder.path()).unwrap();
    for (variable, path) in [("SSL_CERT_FILE", &*file), ("SSL_CERT_DIR", folder.path())] {
        std::fs::write(&file, old.root_certificate_pem()).unwrap();
        let idaas = idaas(&new, &[(variable, path)]).unwrap();
        let error = idaas.token().await.unwrap_err();
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        // In place, as an editor does; then for a moment there is none.
        std::fs::write(&file, "torn").unwrap();
        std::fs::write(&file, new.root_certificate_pem()).unwrap();
        let trusted = async {
            while idaas.token().await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), trusted).await.unwrap();
    }
}

//! The certificate authorities that are trusted: where they are, what they are, and whether they have changed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use crate::environment::{Environment, trimmed};
use crate::error::ConfigFault;
use crate::secret::path::redacted_path;
use crate::secret::pem;
use crate::secret::regular_file::{self, Stamp};
use crate::secret::text_file;

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// Bundles have a few hundred kilobytes. The limit keeps a wrong path from filling memory.
const SIZE_LIMIT: usize = 16 << 20;

/// Where authorities come from: `SSL_CERT_FILE` and `SSL_CERT_DIR` when one of them is set, the platform otherwise; and
/// those set in code.
#[derive(Debug, PartialEq)]
pub(super) struct Authorities {
    file: Option<PathBuf>,
    folders: Vec<PathBuf>,
    /// PEM text.
    in_code: Vec<Vec<u8>>,
}

/// A file or folder, and its state.
pub(super) type Stamped = (PathBuf, Stamp);

impl Authorities {
    pub(super) fn of(environment: &Environment, in_code: &[Vec<u8>]) -> Self {
        let file = environment.path(FILE);
        let folders = environment.variable(FOLDERS);
        let folders = folders.iter().flat_map(std::env::split_paths);
        let folders = folders.map(|path| trimmed(path.into_os_string()));
        let folders = folders.filter(|path| !path.as_os_str().is_empty()).collect();
        Self { file, folders, in_code: in_code.to_vec() }
    }

    /// A name for all the files that authorities are read from, under which they are read together.
    pub(super) fn place(&self) -> PathBuf {
        let paths: Vec<&PathBuf> = self.file.iter().chain(&self.folders).collect();
        format!("certificate authorities of {paths:?}").into()
    }

    /// The fault of files that could not be read within this time.
    pub(super) fn unread(&self, cause: io::Error, limit: Duration) -> ConfigFault {
        let problem = match cause.kind() {
            io::ErrorKind::TimedOut => {
                format!("did not respond within {limit:?}; check the file system that it is on")
            }
            _ => "cannot be read on a thread of its own; check the limits of this process".to_owned(),
        };
        let fault = match (&self.file, self.folders.first()) {
            (Some(file), _) => unreadable(FILE, file, &problem),
            (None, Some(folder)) => unreadable(FOLDERS, folder, &problem),
            (None, None) => {
                let problem = format!("is not set, and the platform's store of authorities {problem}");
                ConfigFault::new(FILE, problem)
            }
        };
        fault.with_source(cause)
    }

    /// The states of all files that authorities are read from. Blocks for as long as the file system takes, and so does
    /// [`load`](Self::load).
    pub(super) fn stamps(&self) -> Vec<Stamped> {
        let mut stamps: Vec<Stamped> = match self.is_platform() {
            true => platform().iter().filter_map(|path| stamped(path)).collect(),
            false => self.file.iter().filter_map(|path| stamped(path)).collect(),
        };
        for folder in &self.folders {
            stamps.extend(stamped(folder));
            stamps.extend(entries(folder).unwrap_or_default().iter().filter_map(|path| stamped(path)));
        }
        // By the bytes of the path: comparing paths part by part takes longer than reading the files' metadata.
        stamps.sort_unstable_by(|(one, _), (other, _)| one.as_os_str().cmp(other.as_os_str()));
        stamps
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// A variable that names nothing readable, certificates in code that are not certificates, or no authority at all.
    /// An unusable block beside usable ones is skipped, with a warning.
    pub(super) fn load(&self) -> Result<RootCertStore, Vec<ConfigFault>> {
        let mut roots = RootCertStore::empty();
        let mut faults = Vec::new();
        if self.is_platform() {
            roots.add_parsable_certificates(platform_certificates());
        }
        if let Some(path) = &self.file
            && let Err(fault) = add_file(&mut roots, path)
        {
            faults.push(fault);
        }
        for folder in &self.folders {
            if let Err(fault) = add_folder(&mut roots, folder) {
                faults.push(fault);
            }
        }
        for text in &self.in_code {
            let blocks = Blocks::of(text);
            match blocks.add_to(&mut roots) {
                0 => faults.push(ConfigFault::new("root_certificate", format!("holds {}", blocks.problem()))),
                usable => blocks.warn(usable, "root_certificate"),
            }
        }
        if roots.is_empty() && faults.is_empty() {
            faults.push(match self.folders.first() {
                Some(folder) => unreadable(FOLDERS, folder, "holds no certificate; expected files of PEM text"),
                None => ConfigFault::new(
                    FILE,
                    "is not set, or blank, and the platform has no certificate authorities; install them, name a PEM \
                     file, or unset a blank variable, which hides the platform's on macOS and Windows",
                ),
            });
        }
        if faults.is_empty() { Ok(roots) } else { Err(faults) }
    }

    fn is_platform(&self) -> bool {
        self.file.is_none() && self.folders.is_empty()
    }

    /// Where they come from, for people.
    pub(super) fn origin(&self) -> String {
        let platform = self.is_platform().then(|| "the platform".to_owned());
        let file = self.file.iter().map(|path| format!("{FILE} ({})", redacted_path(path)));
        let folders = self.folders.iter().map(|path| format!("{FOLDERS} ({})", redacted_path(path)));
        let in_code = (!self.in_code.is_empty()).then(|| "code".to_owned());
        platform.into_iter().chain(file).chain(folders).chain(in_code).collect::<Vec<_>>().join(" and ")
    }
}

/// Every certificate of the file.
fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), ConfigFault> {
    let content = regular_file::read_once(path, SIZE_LIMIT).map_err(|cause| {
        let fault = unreadable(FILE, path, problem(&cause));
        // The cause may show a path that the fault does not.
        if redacted_path(path) == path.display().to_string() { fault.with_source(cause) } else { fault }
    })?;
    let blocks = Blocks::of(&content.bytes);
    match blocks.add_to(roots) {
        0 if text_file::is_utf16(&content.bytes) => Err(unreadable(FILE, path, text_file::IS_UTF16)),
        0 => Err(unreadable(FILE, path, &format!("holds {}", blocks.problem()))),
        usable => {
            blocks.warn(usable, &format!("{FILE} ({})", redacted_path(path)));
            Ok(())
        }
    }
}

/// Every certificate of the folder's files. Other files may be among them, and a link may be broken.
fn add_folder(roots: &mut RootCertStore, folder: &Path) -> Result<(), ConfigFault> {
    let entries = entries(folder).map_err(|cause| {
        let fault =
            unreadable(FOLDERS, folder, "is no folder that can be read; expected one with files of PEM text");
        if redacted_path(folder) == folder.display().to_string() { fault.with_source(cause) } else { fault }
    })?;
    let (mut usable, mut all) = (0, Blocks::default());
    for path in entries {
        let content = match regular_file::read_once(&path, SIZE_LIMIT) {
            Ok(content) => content,
            Err(cause) if cause.kind() == io::ErrorKind::FileTooLarge => {
                let (path, problem) = (redacted_path(&path), problem(&cause));
                tracing::warn!(
                    "configuration: {path} in the folder of {FOLDERS} {problem}; it is skipped, and a server whose \
                     authority is in it is not trusted"
                );
                continue;
            }
            Err(_) => continue,
        };
        let blocks = Blocks::of(&content.bytes);
        usable += blocks.add_to(roots);
        all.certificates.extend(blocks.certificates);
        all.damaged += blocks.damaged;
    }
    if usable > 0 {
        all.warn(usable, &format!("{FOLDERS} ({})", redacted_path(folder)));
    } else if all.count() > 0 {
        return Err(unreadable(FOLDERS, folder, &format!("holds {}", all.problem())));
    }
    Ok(())
}

fn problem(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::FileTooLarge => "is larger than 16 MiB; expected a file of PEM text",
        _ => "cannot be read; expected a file of PEM text",
    }
}

fn unreadable(variable: &str, path: &Path, problem: &str) -> ConfigFault {
    ConfigFault::new(variable, format!("names {}, which {problem}", redacted_path(path)))
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// The files and folders of the platform's store, where it consists of files.
fn platform() -> Vec<PathBuf> {
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        let openssl_probe::ProbeResult { cert_file, cert_dir } = openssl_probe::probe();
        cert_file.into_iter().chain(cert_dir).collect()
    }
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    Vec::new()
}

/// The certificates of the platform's store. A store with some unreadable entries is still a store.
fn platform_certificates() -> Vec<CertificateDer<'static>> {
    // `load_native_certs` reads the two variables itself, and takes a blank one for a path, so that it finds nothing.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        use rustls_native_certs::load_certs_from_paths;

        let openssl_probe::ProbeResult { cert_file, cert_dir } = openssl_probe::probe();
        let mut folders = cert_dir.iter().map(PathBuf::as_path);
        let mut certificates = load_certs_from_paths(cert_file.as_deref(), folders.next()).certs;
        certificates.extend(folders.flat_map(|folder| load_certs_from_paths(None, Some(folder)).certs));
        // Each one once: the file and the folders have most in common.
        certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        certificates.dedup();
        certificates
    }
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    rustls_native_certs::load_native_certs().certs
}

/// `None` when there is no such file.
fn stamped(path: &Path) -> Option<Stamped> {
    Some((path.to_owned(), Stamp::of(&std::fs::metadata(path).ok()?)))
}

/// The certificates of a text.
#[derive(Debug, Default)]
struct Blocks {
    certificates: Vec<CertificateDer<'static>>,
    /// Blocks that are labelled as certificates and cannot be decoded.
    damaged: usize,
}

impl Blocks {
    fn of(bytes: &[u8]) -> Self {
        let pem::Certificates { decoded, damaged } = pem::certificates(bytes);
        Self { certificates: decoded.into_iter().map(CertificateDer::from).collect(), damaged }
    }

    fn count(&self) -> usize {
        self.certificates.len() + self.damaged
    }

    /// How many are trusted now. A block that is not an X.509 certificate is not.
    fn add_to(&self, roots: &mut RootCertStore) -> usize {
        let certificates = self.certificates.iter().cloned();
        roots.add_parsable_certificates(certificates).0
    }

    fn problem(&self) -> String {
        match self.count() {
            0 => "no certificate; expected PEM text with `BEGIN CERTIFICATE`".to_owned(),
            1 => "a certificate that cannot be used; expected X.509 in PEM text".to_owned(),
            count => format!("{count} certificates that cannot be used; expected X.509 in PEM text"),
        }
    }

    /// Warns of blocks that are skipped.
    fn warn(&self, usable: usize, origin: &str) {
        let count = self.count();
        if usable < count {
            let skipped = count - usable;
            tracing::warn!(
                "configuration: {skipped} of {count} certificates of {origin} cannot be used and are skipped; a server \
                 whose authority is among them is not trusted"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["authority".to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.self_signed(&key).unwrap().pem()
    }

    fn load(variable: &str, path: &Path) -> Result<usize, String> {
        let environment = Environment::Manual(ManualEnvironment::from_iter([(variable, path)]));
        let roots = Authorities::of(&environment, &[]).load();
        roots.map(|roots| roots.len()).map_err(|faults| faults[0].to_string())
    }

    /// What a process of its own loads where both variables have this value, or are not set.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    fn loaded_where_both_are(value: Option<&str>) -> String {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "--nocapture", "transport::roots::tests::a_blank_variable_is_as_good_as_none"]);
        test.env("TEST_LOADS_ROOTS", "yes").env_remove(FILE).env_remove(FOLDERS);
        if let Some(value) = value {
            test.env(FILE, value).env(FOLDERS, value);
        }
        let output = String::from_utf8(test.output().unwrap().stdout).unwrap();
        let loaded = output.split("<loaded>").nth(1).expect(&output);
        loaded.to_owned()
    }

    #[cfg(all(unix, not(target_vendor = "apple")))]
    #[test]
    #[allow(clippy::print_stdout)] // read by the process that started this one
    fn a_blank_variable_is_as_good_as_none() {
        if Environment::Process.variable("TEST_LOADS_ROOTS").is_some() {
            let authorities = Authorities::of(&Environment::Process, &[]);
            let loaded = authorities.load().map(|roots| roots.len());
            println!("<loaded>{loaded:?} from {}<loaded>", authorities.origin());
            return;
        }
        let unset = loaded_where_both_are(None);
        assert!(unset.contains("from the platform"), "{unset}");
        for blank in ["", " ", "\t "] {
            assert_eq!(loaded_where_both_are(Some(blank)), unset, "{blank:?}");
        }
        assert!(loaded_where_both_are(Some("/nowhere")).contains("/nowhere"));
    }

    #[test]
    fn a_file_that_is_too_large_is_a_fault_that_names_it_and_is_not_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.pem");
        let text = authority() + &"#\n".repeat(SIZE_LIMIT / 2) + &authority();
        std::fs::write(&path, text).unwrap();
        let fault = load(FILE, &path).unwrap_err();
        assert!(fault.contains("large.pem, which is larger than 16 MiB"), "{fault}");
        // In a folder it is skipped, with a warning.
        std::fs::write(folder.path().join("small.pem"), authority()).unwrap();
        assert_eq!(load(FOLDERS, folder.path()), Ok(1));
    }
}

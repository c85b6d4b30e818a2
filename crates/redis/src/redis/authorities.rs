//! The certificate authorities that a Redis server's certificate is checked against: read within bounds, because a path
//! may lead to anything.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tower_idaas::ConfigFault;
use tower_idaas::environment::Environment;

pub(super) const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// As in the library: bundles have a few hundred kilobytes.
const SIZE_LIMIT: u64 = 16 << 20;

/// As in the library. The authorities are read once, when the store is built.
const TIME_LIMIT: Duration = Duration::from_secs(20);

type Certificates = Vec<CertificateDer<'static>>;

/// The authorities of `SSL_CERT_FILE` and `SSL_CERT_DIR` when one of them is set, of the platform otherwise. Blocks for a
/// bounded time.
///
/// # Errors
///
/// A variable that leads to no certificate, or to a file system that does not respond. A file without any is a fault, an
/// empty folder is not.
pub(super) fn read(environment: &Environment) -> Result<Certificates, Vec<ConfigFault>> {
    // A variable may be set and blank, as a compose file sets one that its environment lacks.
    let is_blank = |path: &OsStr| path.to_string_lossy().trim().is_empty();
    let file = environment.variable(FILE).filter(|path| !is_blank(path)).map(PathBuf::from);
    let folders = environment.variable(FOLDERS).unwrap_or_default();
    let folders: Vec<_> =
        std::env::split_paths(&folders).filter(|path| !is_blank(path.as_os_str())).collect();
    let variable = if file.is_none() && !folders.is_empty() { FOLDERS } else { FILE };
    within(TIME_LIMIT, variable, move || {
        if file.is_none() && folders.is_empty() {
            return Ok(platform_certificates());
        }
        let (mut certificates, mut faults) = (Vec::new(), Vec::new());
        let of_file = file.iter().map(|path| (FILE, of_file(path)));
        for (variable, result) in of_file.chain(folders.iter().map(|path| (FOLDERS, of_folder(path)))) {
            match result {
                Ok(found) if variable == FOLDERS || !found.is_empty() => certificates.extend(found),
                Ok(_) => faults.push(unreadable(variable, "leads to no readable certificate")),
                Err(cause) if cause.kind() == io::ErrorKind::FileTooLarge => {
                    faults.push(unreadable(variable, "leads to a file that is larger than 16 MiB"));
                }
                Err(_) => faults.push(unreadable(variable, "leads to no readable certificate")),
            }
        }
        if faults.is_empty() { Ok(certificates) } else { Err(faults) }
    })
}

/// Neither path nor cause is shown: a secret may have been pasted into the wrong variable.
fn unreadable(variable: &str, problem: &str) -> ConfigFault {
    ConfigFault::new(variable, format!("{problem}; expected the path of PEM text with `BEGIN CERTIFICATE`"))
}

/// Reads on a thread of its own, which is left behind if the file system hangs: a read cannot be stopped.
fn within(
    limit: Duration,
    variable: &str,
    read: impl FnOnce() -> Result<Certificates, Vec<ConfigFault>> + Send + 'static,
) -> Result<Certificates, Vec<ConfigFault>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let spawned = thread::Builder::new().name("idaas-file".to_owned()).spawn(move || {
        let _ = sender.send(read());
    });
    let unread = |problem: &str| vec![ConfigFault::new(variable, problem)];
    if let Err(cause) = spawned {
        let problem = "cannot be read on a thread of its own; check the limits of this process";
        return Err(vec![ConfigFault::new(variable, problem).with_source(cause)]);
    }
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(unread(&format!(
            "did not respond within {limit:?}; check the file system that its path is on"
        ))),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(unread("cannot be read: the reading thread ended early"))
        }
    }
}

/// The certificates of a file. A block of a bundle that is no certificate does not spoil the others.
fn of_file(path: &Path) -> io::Result<Certificates> {
    // A pipe would be waited for, and a device may have no end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect())
}

/// The certificates of a folder's files. Other files may be among them, and a link may be broken, but when none can be
/// read, the first failure is returned.
fn of_folder(folder: &Path) -> io::Result<Certificates> {
    let paths = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let (read, failed): (Vec<_>, Vec<_>) = paths.map(|path| of_file(&path)).partition(Result::is_ok);
    match failed.into_iter().find_map(Result::err) {
        Some(cause) if read.is_empty() => Err(cause),
        _ => Ok(read.into_iter().flatten().flatten().collect()),
    }
}

/// The certificates of the platform's store. A store with some unreadable entries is still a store.
fn platform_certificates() -> Certificates {
    // `load_native_certs` reads the two variables itself, and takes a blank one for a path, so that it finds nothing.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        let openssl_probe::ProbeResult { cert_file, cert_dir } = openssl_probe::probe();
        let of_file = cert_file.iter().filter_map(|path| of_file(path).ok());
        let mut certificates: Certificates =
            of_file.chain(cert_dir.iter().filter_map(|path| of_folder(path).ok())).flatten().collect();
        certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        certificates.dedup();
        certificates
    }
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    rustls_native_certs::load_native_certs().certs
}

#[cfg(test)]
#[cfg(all(unix, not(target_vendor = "apple")))]
mod tests {
    use tower_idaas::environment::ManualEnvironment;

    use super::*;

    const CHILD: &str = "TEST_LOADS_ROOTS";

    /// How many certificates a process of its own loads where both variables have this value, or are not set.
    fn loaded_where_both_are(value: Option<&str>) -> String {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args([
            "--exact",
            "--nocapture",
            "redis::authorities::tests::a_blank_variable_is_as_good_as_none",
        ]);
        test.env(CHILD, "yes").env_remove(FILE).env_remove(FOLDERS);
        if let Some(value) = value {
            test.env(FILE, value).env(FOLDERS, value);
        }
        let output = String::from_utf8(test.output().unwrap().stdout).unwrap();
        output.split("<loaded>").nth(1).unwrap().to_owned()
    }

    #[test]
    #[allow(clippy::print_stdout)] // read by the process that started this one
    fn a_blank_variable_is_as_good_as_none() {
        if Environment::Process.variable(CHILD).is_some() {
            let loaded = read(&Environment::Process).map(|certificates| certificates.len());
            println!("<loaded>{:?}<loaded>", loaded.map_err(|faults| faults.len()));
            return;
        }
        let unset = loaded_where_both_are(None);
        for blank in ["", " ", "\t "] {
            assert_eq!(loaded_where_both_are(Some(blank)), unset, "{blank:?}");
        }
        assert_eq!(loaded_where_both_are(Some("/nowhere")), "Err(2)");
    }

    fn fault_of(variable: &'static str, path: &Path) -> String {
        let environment = Environment::Manual(ManualEnvironment::from_iter([(variable, path)]));
        read(&environment).unwrap_err().first().unwrap().to_string()
    }

    #[test]
    fn a_file_of_any_size_costs_bounded_memory_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.pem");
        std::fs::File::create(&path).unwrap().set_len(SIZE_LIMIT + 1).unwrap();
        assert!(fault_of(FILE, &path).contains("is larger than 16 MiB"), "{}", fault_of(FILE, &path));
        // In a folder it is skipped, unless no other file can be read.
        assert!(fault_of(FOLDERS, folder.path()).contains("is larger than 16 MiB"));
        std::fs::write(folder.path().join("other"), "").unwrap();
        let environment = Environment::Manual(ManualEnvironment::from_iter([(FOLDERS, folder.path())]));
        assert_eq!(read(&environment).unwrap().len(), 0);
        for other in [Path::new("/dev/zero"), folder.path()] {
            assert!(fault_of(FILE, other).contains("no readable certificate"));
        }
    }

    #[test]
    fn a_file_system_that_hangs_costs_bounded_time_and_is_named() {
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let hangs = move || {
            let _ = receiver.recv();
            Ok(Vec::new())
        };
        let faults = within(Duration::from_millis(20), FILE, hangs).unwrap_err();
        assert_eq!(faults.len(), 1);
        let expected = "did not respond within 20ms; check the file system that its path is on";
        assert!(faults[0].to_string().contains(expected), "{}", faults[0]);
    }
}

//! The directory of the cache: files that this user alone can read, replaced as a whole.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Unusable;

/// More than any token or set of credentials has.
const LARGEST_FILE: u64 = 1 << 20;
/// Nothing in it lives longer, and what is older is removed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
const NAME_LENGTH: usize = 64;
const TEMPORARY: &str = "temporary-";
const LOCK: &str = "lock-";

const FOR_OTHERS: u32 = 0o077;

#[derive(Debug)]
pub(super) struct Directory(PathBuf);

/// Held until it is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Directory {
    /// Makes the directory if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be made, is no directory itself (a symbolic link may lead anywhere), or others may use it.
    pub(super) fn open(path: PathBuf) -> Result<Self, Unusable> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| failed(&path, "cannot be made", &error))?;
        let metadata = std::fs::symlink_metadata(&path);
        let metadata = metadata.map_err(|error| failed(&path, "cannot be examined", &error))?;
        if !metadata.is_dir() {
            return Err(unusable(&path, "is not a directory; name one"));
        }
        check_owner(&path, &metadata)?;
        Ok(Self(path))
    }

    /// The content of the file of this name; `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or can have been written by others.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Unusable> {
        let path = self.0.join(name);
        let file = match open(&path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, "cannot be read", &error)),
        };
        check_file(&path, &file)?;
        let mut content = Vec::new();
        let read = file.take(LARGEST_FILE + 1).read_to_end(&mut content);
        read.map_err(|error| failed(&path, "cannot be read", &error))?;
        match content.len() as u64 > LARGEST_FILE {
            true => Err(unusable(&path, "has more than 1 MiB; it is replaced")),
            false => Ok(Some(content)),
        }
    }

    /// Replaces the file of this name, and removes what is too old to be used.
    ///
    /// A reader sees the old content or the new one, and never a part of one. After a crash of the machine it may be
    /// damaged, which the seal shows.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write(&self, name: &str, content: &[u8], now: SystemTime) -> Result<(), Unusable> {
        let path = self.0.join(name);
        let write = || {
            let mut builder = tempfile::Builder::new();
            let mut file =
                builder.prefix(TEMPORARY).permissions(Permissions::from_mode(0o600)).tempfile_in(&self.0)?;
            file.write_all(content)?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map_err(|error: io::Error| failed(&path, "cannot be written", &error))?;
        self.remove_old(now);
        Ok(())
    }

    /// What cannot be removed stays until the next time.
    fn remove_old(&self, now: SystemTime) {
        let is_old = |metadata: Metadata| {
            let age = metadata.modified().ok().and_then(|modified| now.duration_since(modified).ok());
            metadata.is_file() && age.is_some_and(|age| age > LONGEST_LIFE)
        };
        for entry in std::fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_ours(name)) else { continue };
            if !entry.metadata().is_ok_and(is_old) {
                continue;
            }
            let path = entry.path();
            // A lock that a process holds stays; with this one, no process can hold the one that is removed.
            let lock = if name.starts_with(LOCK) { try_lock(&path) } else { Ok(None) };
            if !name.starts_with(LOCK) || matches!(lock, Ok(Some(_))) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The lock for the file of this name, if no other process has it.
    ///
    /// # Errors
    ///
    /// When the lock's file cannot be used.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<Lock>, Unusable> {
        try_lock(&self.0.join(format!("{LOCK}{name}")))
    }
}

fn try_lock(path: &Path) -> Result<Option<Lock>, Unusable> {
    let file = open(path, OpenOptions::new().write(true).create(true).truncate(false).mode(0o600));
    let file = file.map_err(|error| failed(path, "cannot be opened", &error))?;
    check_file(path, &file)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        // Between the two calls another process may have removed it: then the next one locks another file.
        Ok(()) if is_at(path, &file) => Ok(Some(Lock { _file: file })),
        Ok(()) | Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed(path, "cannot be locked", &error.into())),
    }
}

fn is_at(path: &Path, file: &File) -> bool {
    let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let there = std::fs::symlink_metadata(path).map(id);
    file.metadata().map(id).is_ok_and(|own| there.is_ok_and(|there| there == own))
}

/// Without following a link, and without waiting for the other end of a pipe.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

fn check_file(path: &Path, file: &File) -> Result<(), Unusable> {
    let metadata = file.metadata().map_err(|error| failed(path, "cannot be examined", &error))?;
    match metadata.is_file() {
        true => check_owner(path, &metadata),
        false => Err(unusable(path, "is not a regular file; remove it")),
    }
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Unusable> {
    if metadata.uid() != geteuid().as_raw() {
        return Err(unusable(path, "belongs to another user; name another directory with --cache=DIR"));
    }
    match metadata.mode() & FOR_OTHERS {
        0 => Ok(()),
        _ => Err(unusable(path, "can be used by others; take their rights away with `chmod go=`")),
    }
}

fn is_ours(name: &str) -> bool {
    let name_of_entry = name.strip_prefix(LOCK).unwrap_or(name);
    let is_entry =
        name_of_entry.len() == NAME_LENGTH && name_of_entry.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_entry || name.starts_with(TEMPORARY)
}

fn unusable(path: &Path, problem: &str) -> Unusable {
    Unusable(format!("{} {problem}", path.display()))
}

fn failed(path: &Path, problem: &str, error: &io::Error) -> Unusable {
    Unusable(format!("{} {problem}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::client::now;

    const NAME: &str = "a123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    /// A new directory below this one, which goes with the test.
    fn directory() -> (tempfile::TempDir, Directory) {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path().join("made/by/it")).unwrap();
        (folder, directory)
    }

    #[test]
    fn directories_and_files_are_for_their_owner_alone() {
        let (folder, directory) = directory();
        directory.write(NAME, b"x", now()).unwrap();
        drop(directory.try_lock(NAME).unwrap().unwrap());
        assert_eq!(mode(&folder.path().join("made")), 0o700);
        assert_eq!(mode(&directory.0), 0o700);
        for entry in std::fs::read_dir(&directory.0).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
        assert_eq!(directory.read(NAME).unwrap().unwrap(), b"x");
        assert!(directory.read("none").unwrap().is_none());
    }

    #[test]
    fn a_file_that_others_may_use_and_what_is_no_file_are_not_read() {
        let (folder, directory) = directory();
        let path = directory.0.join(NAME);
        directory.write(NAME, b"x", now()).unwrap();
        for wrong in [0o640, 0o604, 0o620] {
            set_mode(&path, wrong);
            assert!(directory.read(NAME).unwrap_err().to_string().contains("chmod go="));
        }
        std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        set_mode(&folder.path().join("elsewhere"), 0o600);
        symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(directory.read(NAME).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(directory.read(NAME).is_err());
        std::fs::remove_dir(&path).unwrap();
        #[cfg(target_os = "linux")]
        {
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
            assert!(directory.read(NAME).unwrap_err().to_string().contains("not a regular file"));
        }
    }

    #[test]
    fn a_file_that_is_not_used_is_replaced() {
        let (folder, directory) = directory();
        let target = folder.path().join("target");
        std::fs::write(&target, "kept").unwrap();
        symlink(&target, directory.0.join(NAME)).unwrap();
        directory.write(NAME, b"new", now()).unwrap();
        assert_eq!(directory.read(NAME).unwrap().unwrap(), b"new");
        assert_eq!(std::fs::read_to_string(target).unwrap(), "kept");
    }

    #[test]
    fn a_directory_that_others_may_use_and_a_link_to_one_are_not_used() {
        let (folder, directory) = directory();
        set_mode(&directory.0, 0o755);
        assert!(Directory::open(directory.0.clone()).unwrap_err().to_string().contains("chmod go="));
        set_mode(&directory.0, 0o700);
        let link = folder.path().join("link");
        symlink(&directory.0, &link).unwrap();
        assert!(Directory::open(link).unwrap_err().to_string().contains("not a directory"));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Directory::open(file.clone()).is_err() && Directory::open(file.join("below")).is_err());
    }

    #[test]
    fn what_is_too_old_to_be_used_is_removed_and_nothing_that_is_not_the_caches() {
        let (_folder, directory) = directory();
        let other = NAME.replace('a', "b");
        let (free, held) = (format!("lock-{other}"), format!("lock-{NAME}"));
        let names = [&*other, "temporary-x", &free, &held, "lock-notes", "notes.txt"];
        for name in names {
            std::fs::write(directory.0.join(name), "x").unwrap();
            set_mode(&directory.0.join(name), 0o600);
        }
        let _held = directory.try_lock(NAME).unwrap().unwrap();
        let exists = |name: &str| directory.0.join(name).exists();
        directory.write(NAME, b"x", now() + LONGEST_LIFE - Duration::from_secs(60)).unwrap();
        assert!(names.into_iter().all(exists));
        directory.write(NAME, b"x", now() + LONGEST_LIFE + Duration::from_secs(60)).unwrap();
        assert_eq!(names.map(exists), [false, false, false, true, true, true]);
    }

    #[test]
    fn a_lock_whose_file_was_removed_meanwhile_is_no_lock() {
        let (_folder, directory) = directory();
        let path = directory.0.join("lock");
        let file = File::create(&path).unwrap();
        assert!(is_at(&path, &file));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_at(&path, &file));
        let _another = File::create(&path).unwrap();
        assert!(!is_at(&path, &file));
    }

    #[test]
    fn a_lock_is_held_by_one_and_free_again_when_it_is_dropped() {
        let (_folder, directory) = directory();
        let held = directory.try_lock(NAME).unwrap().unwrap();
        assert!(directory.try_lock(NAME).unwrap().is_none());
        let other = NAME.replace('f', "e");
        assert!(directory.try_lock(&other).unwrap().is_some(), "each file has a lock of its own");
        drop(held);
        assert!(directory.try_lock(NAME).unwrap().is_some());
    }

    #[test]
    fn readers_beside_writers_see_a_whole_content() {
        let (_folder, directory) = directory();
        let contents = [vec![b'a'; 100_000], vec![b'b'; 50_000]];
        directory.write(NAME, &contents[0], now()).unwrap();
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| {
                    for _ in 0..100 {
                        directory.write(NAME, content, now()).unwrap();
                    }
                });
            }
            for _ in 0..300 {
                let read = directory.read(NAME).unwrap().unwrap();
                assert!(contents.contains(&read));
            }
        });
    }
}

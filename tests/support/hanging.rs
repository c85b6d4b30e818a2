//! A file system that hangs, a real one: FUSE whose server never responds, as when a network share or a CSI driver is
//! gone.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

const MOUNT: &str = "exec 3<>/dev/fuse && \
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hangs \"$0\" && exec \"$@\"";

/// The program in a process for which every access below this folder hangs; nothing else sees that. `None`, and a word
/// about it, where this machine allows no such mount.
#[allow(clippy::print_stdout, reason = "says why the test did nothing")]
pub fn command(folder: &Path, program: impl AsRef<OsStr>) -> Option<Command> {
    let mounted = |program: &OsStr| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT]).arg(folder).arg(program);
        command
    };
    if !mounted("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
        println!("the test did not run: no file system can be mounted here");
        return None;
    }
    Some(mounted(program.as_ref()))
}
